using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Model;

/// <summary>
/// Fields of official configurations that the published GPTConfig lacks: those of real beeg_config.json files, of earlier commits, and of
/// the Hugging Face release. Most say how a model was trained or executed. The others would change its numbers, and are refused unless they
/// are off.
/// </summary>
internal static class ReleasedFields
{
    private const string OldMlpName = "n_mlp";
    private const string MlpName = "d_mlp";
    private const string OldWidthName = "n_embd";
    private const string WidthName = "d_model";
    private const string ConcatenatedPositionsName = "cat_pos_emb";
    private const string PositionWidthName = "d_pos_emb";

    /// <summary>How the model was trained or executed; any value will do.</summary>
    private static readonly HashSet<string> WithoutEffect = new(StringComparer.Ordinal)
    {
        "pfrac",
        "expansion_factor",
        "expansion_factor_mlp",
        "minimum_alive_per_neuron",
        "achyuta_mixed_neuronwise_v2",
        "ignore_dw_grad",
        "debug_exact_topk",
        "sparse_matmul_impl",
    };

    /// <summary>What must be null or false, and what it would be otherwise.</summary>
    private static readonly Dictionary<string, string> MustBeOff = new(StringComparer.Ordinal)
    {
        ["afrac_approx"] = "another choice of the entries that AbsTopK keeps",
        ["rtopk"] = "another choice of the entries that AbsTopK keeps",
        ["afrac_ste"] = "other gradients through AbsTopK",
        ["afrac_ste_only_non_neurons"] = "other gradients through AbsTopK",
        ["bigram_table_rank"] = "a bigram table made of two factors",
        ["unembed_rank"] = "an unembedding made of two factors",
        ["use_tied_aux_matrix"] = "weights made of two matrices",
        ["mup"] = "activations scaled by the model's width",
        ["mup_width_multiplier"] = "activations scaled by the model's width",
        ["scale_invariance"] = "activations scaled in another way",
        ["enable_fp8_linear"] = "products of 8-bit numbers",
    };

    public static bool IsKnown(string name) =>
        WithoutEffect.Contains(name) || MustBeOff.ContainsKey(name) || name is OldWidthName or ConcatenatedPositionsName;

    /// <summary>Gives what has only an old name the present one. n_embd stays too: the release has it beside d_model, as null.</summary>
    /// <exception cref="BadInputException">A field stands under both names with two values.</exception>
    public static void Rename(JsonObject fields, string source)
    {
        foreach ((string oldName, string name) in new[] { (OldMlpName, MlpName), (OldWidthName, WidthName) })
        {
            if (fields.TryGetPropertyValue(oldName, out JsonNode? value) && value is not null)
            {
                if (fields[name] is { } present && !JsonNode.DeepEquals(value, present))
                {
                    throw new BadInputException(
                        $"{source}: {name} is {present.ToJsonString()}, but its old name {oldName} is {value.ToJsonString()}. Remove one."
                    );
                }

                fields[name] = value.DeepClone();
            }
        }

        fields.Remove(OldMlpName);
    }

    /// <summary>Takes these fields out of a configuration.</summary>
    /// <returns>What there was of them, as a JSON object; null for none.</returns>
    /// <exception cref="BadInputException">Some would change the model's numbers; all of them are named.</exception>
    public static string? TakeFrom(JsonObject fields, string source)
    {
        var taken = new JsonObject();
        var faults = new List<string>();
        foreach (string name in fields.Select(field => field.Key).Where(IsKnown).ToArray())
        {
            JsonNode? value = fields[name];
            if (MustBeOff.TryGetValue(name, out string? otherwise) && !IsOff(value))
            {
                faults.Add($"{name} is {value!.ToJsonString()}, which asks for {otherwise}");
            }
            else if (name == ConcatenatedPositionsName && IsOff(value) == fields[PositionWidthName] is not null)
            {
                faults.Add($"{name} is {value?.ToJsonString() ?? "null"}, which contradicts {PositionWidthName}");
            }

            taken[name] = value?.DeepClone();
            fields.Remove(name);
        }

        return faults.Count > 0
                ? throw new BadInputException($"{source}: {string.Join("; ", faults)}. This program does not do that: use another model.")
            : taken.Count > 0 ? taken.ToJsonString(JsonText.OneLine)
            : null;
    }

    private static bool IsOff(JsonNode? value) => value is null || value.GetValueKind() == JsonValueKind.False;
}
