using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sparsity.Core.Files;

/// <summary>The version that files of this program's own formats state as format_version.</summary>
internal static class FileFormat
{
    public const int Version = 1;

    /// <exception cref="BadInputException">The file says that a newer program wrote it, or states a version that never was.</exception>
    public static void RequireKnown(JsonObject json, string path)
    {
        // A version that is no number is refused with the file's other fields.
        if (json["format_version"] is JsonValue value && value.GetValueKind() == JsonValueKind.Number)
        {
            RequireKnown(value.ToJsonString(), path);
        }
    }

    /// <inheritdoc cref="RequireKnown(JsonObject, string)"/>
    public static void RequireKnown(string version, string path)
    {
        if (!NumberText.TryParse(version, out int number) || number is < 1 or > Version)
        {
            throw new BadInputException(
                $"{path}: format_version is {version}, but this program reads 1 to {Version}. If the file is whole, use a newer program."
            );
        }
    }
}
