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

    /// <summary>Puts the defaults in.</summary>
    public static string Fill(string text) => Field().Replace(text, match => Value(match.Groups[1].Value, match.Groups[2].Value));

    /// <summary>A default as it is typed.</summary>
    public static string Text(object value) => Text(JsonSerializer.SerializeToNode(value, value.GetType(), JsonText.Options));

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

    [GeneratedRegex(@"\{(\w+)\.(\w+)\}")]
    private static partial Regex Field();
}
