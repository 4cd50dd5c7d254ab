using Sparsity.Core.Files;

namespace Sparsity.Core.Tasks;

/// <summary>Which file a task of the user's own came from, as circuits and plans keep it.</summary>
/// <param name="Path">Full.</param>
/// <param name="Fingerprint">SHA-256 of its content, however the file is laid out.</param>
public sealed record TaskFile(string Path, string Fingerprint)
{
    /// <summary>The same where it is now, if it was moved together with the folder of the file that keeps it.</summary>
    /// <param name="holder">That folder.</param>
    public TaskFile Near(string holder) => this with { Path = RecordedPath.File(Path, holder) };
}
