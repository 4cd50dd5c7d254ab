using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Cli;

/// <summary>
/// The defaults that help shows, from the records that hold them: <c>{training.lr}</c> in a flag's text stands for the field lr of the
/// settings called training.
/// </summary>
internal static partial class HelpDefaults
{
    private static readonly Dictionary<string, object> Settings = new(StringComparer.Ordinal)
    {
        ["model"] = ModelConfig.Small(2),
        ["training"] = TrainingConfig.Small,
        ["dense"] = TrainingConfig.SmallDense,
        ["bridge"] = new BridgeConfig(),
        ["pruning"] = new PruningConfig(),
    };

    /// <summary>
    /// Puts the defaults in, and breaks lines that are wider than <paramref name="width"/> so that they go on under their text.
    /// </summary>
    public static string Fill(string help, int width)
    {
        IEnumerable<string> lines = help.ReplaceLineEndings("\n")
            .Split('\n')
            .Select(line => Broken(Field().Replace(line, match => Value(match.Groups[1].Value, match.Groups[2].Value)), width));
        return string.Join('\n', lines);
    }

    private static string Value(string settings, string field) =>
        Text(
            JsonSerializer.SerializeToNode(Settings[settings], JsonText.Options)!.AsObject().TryGetPropertyValue(field, out JsonNode? value)
                ? value
                : throw new KeyNotFoundException($"{settings} has no field {field}.")
        );

    private static string Text(JsonNode? value) =>
        value switch
        {
            null => "none",
            JsonArray values => string.Join(',', values.Select(Text)),
            _ => value.ToString(),
        };

    private static string Broken(string line, int width)
    {
        int indent = Flag().Match(line).Length;
        var broken = new StringBuilder();
        int column = 0;
        foreach (string word in line[indent..].Split(' '))
        {
            if (column > 0 && indent + column + 1 + word.Length > width)
            {
                broken.Append('\n').Append(' ', indent);
                column = 0;
            }

            broken.Append(column > 0 ? " " : "").Append(word);
            column += (column > 0 ? 1 : 0) + word.Length;
        }

        return line[..indent] + broken;
    }

    [GeneratedRegex(@"\{(\w+)\.(\w+)\}")]
    private static partial Regex Field();

    /// <summary>A flag, a verb or a place at the beginning of its line, up to its text.</summary>
    [GeneratedRegex(@"^\s+\S.*?\s{2,}(?=\S)")]
    private static partial Regex Flag();
}
