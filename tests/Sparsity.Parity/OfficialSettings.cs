using System.Text.Json;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Parity;

/// <summary>
/// The official script's arguments as this program's settings. A name that is not known fails: its numbers would not be followed.
/// </summary>
internal static class OfficialSettings
{
    /// <summary>What the official script does and this program has an option for.</summary>
    private static readonly TrainingConfig Script = new() { SparseBiases = false, PositionEmbeddings = PositionEmbeddings.Learned };

    /// <param name="arguments">Under the official names.</param>
    public static TrainingConfig Read(JsonElement arguments)
    {
        TrainingConfig config = Script;
        bool hasMinimum = true;
        foreach (JsonProperty argument in arguments.EnumerateObject())
        {
            JsonElement value = argument.Value;
            config = argument.Name switch
            {
                "lr" => config with { Lr = value.GetDouble() },
                "weight_decay" => config with { WeightDecay = value.GetDouble() },
                "adam_beta1" => config with { AdamBeta1 = value.GetDouble() },
                "adam_beta2" => config with { AdamBeta2 = value.GetDouble() },
                "eps" => config with { Eps = value.GetDouble() },
                "gradclip" => config with { GradientScaling = value.GetBoolean() ? GradientScaling.Normalize : GradientScaling.None },
                "lr_decay" => config with { LrDecay = value.GetBoolean() },
                "lr_warmup_frac" => config with { LrWarmupFrac = Number(value) },
                "pfrac" => config with { Pfrac = Number(value) },
                "pfrac_anneal" => config with { PfracAnneal = value.GetBoolean() },
                "pfrac_anneal_mode" => config with { PfracAnnealMode = Mode(value) },
                "pfrac_anneal_exponent" => config with { PfracAnnealExponent = value.GetDouble() },
                "pfrac_anneal_start_frac" => config with { PfracAnnealStartFrac = value.GetDouble() },
                "pfrac_anneal_stop_frac" => config with { PfracAnnealStopFrac = value.GetDouble() },
                "pfrac_anneal_initial" => config with
                {
                    PfracAnnealInitial = value.ValueKind == JsonValueKind.String && value.GetString() == "max" ? null : value.GetDouble(),
                },
                "pfrac_anneal_schedule_lr_with_L0" => config with { PfracAnnealScheduleLrWithL0 = value.GetBoolean() },
                "minimum_alive_per_neuron" => config with { MinimumAlivePerNeuron = value.GetInt32() },
                "expansion_factor" => config with { ExpansionFactor = value.GetDouble() },
                "expansion_factor_mlp" => config with { ExpansionFactorMlp = Number(value) ?? config.ExpansionFactorMlp },
                "achyuta_mixed_neuronwise_v2" => config,
                _ => throw new InvalidDataException($"The official argument {argument.Name} = {value} is not understood."),
            };
            hasMinimum &= argument.Name != "achyuta_mixed_neuronwise_v2" || value.GetBoolean();
        }

        return config with
        {
            ExpansionFactorMlp = config.ExpansionFactorMlp ?? config.ExpansionFactor,
            MinimumAlivePerNeuron = hasMinimum ? config.MinimumAlivePerNeuron : 0,
        };
    }

    /// <summary>The settings of a trajectory, with its batch shape and length.</summary>
    public static TrainingConfig Read(JsonElement meta, ModelConfig model)
    {
        int batch = meta.GetProperty("batch").GetInt32();
        int context = meta.GetProperty("n_ctx").GetInt32();
        return (
            Read(meta.GetProperty("hparams")) with
            {
                TotalTokens = (long)meta.GetProperty("total_steps").GetInt32() * batch * context,
                BatchSequences = batch,
                ContextTokens = context,
                PositionEmbeddings = meta.GetProperty("wpe_frozen").GetBoolean() ? PositionEmbeddings.None : PositionEmbeddings.Learned,
            }
        ).Resolved(model);
    }

    private static double? Number(JsonElement value) => value.ValueKind == JsonValueKind.Null ? null : value.GetDouble();

    private static AnnealMode Mode(JsonElement value) =>
        value.GetString() switch
        {
            "linear" => AnnealMode.Linear,
            "power_law" => AnnealMode.PowerLaw,
            _ => throw new InvalidDataException($"The annealing mode {value} is not understood."),
        };
}
