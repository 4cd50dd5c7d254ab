using Sparsity.Core.Files;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Released;

/// <summary>Opens what torch.save wrote of plain data, for as long as it is read.</summary>
internal static class ReleasedFile
{
    private const int ElementsPerByte = 4; // the file's parts are visited once or twice each

    /// <param name="path">The file.</param>
    /// <param name="contents">What it ought to hold, for messages.</param>
    /// <param name="read">Takes what it needs.</param>
    /// <exception cref="BadInputException">The file is missing or damaged.</exception>
    public static T Read<T>(string path, string contents, Func<PickledValue, T> read)
    {
        using var file = new MappedFile(path);
        var archive = new TorchArchive(file, contents);
        return read(new PickledValue(archive, new PickleBudget(path, ElementsPerByte * file.Length), archive.Content));
    }
}
