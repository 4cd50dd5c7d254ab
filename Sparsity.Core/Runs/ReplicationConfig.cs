using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;
using Sparsity.Core.Model;

namespace Sparsity.Core.Runs;

/// <summary>
/// The config.json of the public replication, {model_config, sparsity_config, training_config}, in both generations of its fields: that of
/// the public uploader, which
/// leaves out where AbsTopK acts, and the newer one, whose code is not public. <see cref="ReplicationRecipe"/> fills in what config.json
/// leaves out.
/// </summary>
internal static class ReplicationConfig
{
    /// <summary>
    /// What the replication's own loader takes for attention sinks, places of AbsTopK and so on where a file does not say.
    /// </summary>
    private const string UsualLocations = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q";

    private const string ModelSection = "model_config";
    private const string SparsitySection = "sparsity_config";
    private const string TrainingSection = "training_config";
    private const string BridgesSection = "bridges_config";

    /// <summary>Their names for places of AbsTopK, and ours.</summary>
    private static readonly (string Theirs, string Ours)[] Places =
    [
        ("attn_in", "attn_in"),
        ("attn_out", "attn_out"),
        ("mlp_in", "mlp_in"),
        ("mlp_out", "mlp_out"),
        ("mlp_neuron", "mlp_neuron"),
        ("attn_v", "attn_v"),
        ("attn_k", "attn_k"),
        ("attn_q", "attn_q"),
        ("resid_pre", SiteKinds.ResidualBefore),
        ("resid_mid", "resid_post_attn"),
    ];

    /// <summary>Whether a config.json is of this dialect.</summary>
    public static bool IsOne(JsonObject config) => config.ContainsKey(ModelSection);

    /// <summary>Reads the dialect.</summary>
    /// <param name="config">The whole file.</param>
    /// <param name="path">Its path; training_config.yaml is looked for beside it.</param>
    /// <param name="notes">Receives what a reader has to know: what was taken from elsewhere, and what is our reading.</param>
    /// <returns>The configuration, and whether there is a wpe; where there is none it counts as zero.</returns>
    /// <exception cref="BadInputException">A field is unknown or has a value that no public code explains.</exception>
    public static (ModelConfig Config, bool HasPositions) Read(JsonObject config, string path, List<string> notes)
    {
        RequireKnown(config, path);
        ModelFields model = JsonText.Read<ModelFields>(Section(config, ModelSection, path), $"{path}: {ModelSection}");
        SparsityFields sparsity = JsonText.Read<SparsityFields>(Section(config, SparsitySection, path), $"{path}: {SparsitySection}");
        ReplicationRecipe? recipe = ReplicationRecipe.Beside(path);
        recipe?.RequireSame(model.NLayer, model.DModel, sparsity.ActivationTopkFraction);
        if (model.DHead < 1 || model.DModel % model.DHead != 0)
        {
            throw new BadInputException(
                $"{path}: d_model is {model.DModel} and d_head {model.DHead}, but d_head must divide d_model. " + "Use another copy."
            );
        }

        if (model.Dropout != 0)
        {
            notes.Add(FormattableString.Invariant($"dropout {model.Dropout} acts in training only and is left out"));
        }

        bool flash = model.UseFlashAttention ?? recipe?.UsesFlashAttention ?? true;
        if (model.UseAttentionSinks && !flash)
        {
            notes.Add("use_flash_attention is false: the replication then ignores its attention sinks, and so does this program");
        }

        var read = new ModelConfig
        {
            BlockSize = model.NCtx,
            VocabSize = model.VocabSize,
            NLayer = model.NLayer,
            NHead = model.DModel / model.DHead,
            DHeadField = model.DHead,
            DModel = model.DModel,
            DMlpField = model.DMlp,
            Bias = model.UseBias,
            LnBias = true, // its LayerNorm has a bias whatever use_bias says
            RmsNorm = model.UseRmsNorm,
            ActivationType = model.Activation,
            Afrac = sparsity.EnableActivationSparsity ? sparsity.ActivationTopkFraction : null,
            AfracLoctypes = Locations(sparsity, recipe, path, notes),
            AfracAtLeastOne = true,
            TiedUnembed = model.TieEmbeddings,
            TokenizerName = TokenizerName(config),
            EnableBigramTable = model.UseBigramTable,
            LearnableBigramTable = model.UseBigramTable,
            Sink = model.UseAttentionSinks && flash,
            GradCheckpointing = model.GradientCheckpointing,
            Flash = flash,
        };
        return (read.Validated(path), model.UsePositionalEmbeddings);
    }

    /// <summary>Writes the dialect, in its newer generation of fields, which says where AbsTopK acts.</summary>
    /// <param name="config">Any.</param>
    /// <param name="hasPositions">Whether a position is added to each embedding.</param>
    /// <exception cref="BadInputException">The replication's model cannot compute what this configuration says.</exception>
    public static JsonObject Write(ModelConfig config, bool hasPositions)
    {
        string[] ours = config.Afrac is null || config.AfracLoctypes.Length == 0 ? [] : config.AfracLoctypes.Split(',');
        bool isBefore = ours.Contains(SiteKinds.NeuronBefore);
        RequireSame(
            config.AttentionChannels == config.DModel,
            $"n_head * d_head is {config.AttentionChannels} and d_model " + $"{config.DModel}; its heads always fill d_model"
        );
        RequireSame(config.ResidualActivationType == "identity", "it has no residual_activation_type relu");
        RequireSame(config.DPosEmb is null, "it has no concatenated positions (d_pos_emb)");
        RequireSame(!ours.Contains("resid_post_mlp"), "it has no AbsTopK after every MLP (resid_post_mlp)");
        RequireSame(
            !(isBefore && ours.Contains("mlp_neuron")),
            "it has AbsTopK before or after the activation (mlp_pre_act, mlp_neuron), not both"
        );
        RequireSame(
            config.AfracAtLeastOne || Site.AllOf(config).All(site => config.KeptAt(site) is not 0),
            "its AbsTopK keeps at least " + "one entry, where this model's keeps none (afrac_at_least_one)"
        );
        var model = new ModelFields
        {
            NLayer = config.NLayer,
            DModel = config.DModel,
            NCtx = config.BlockSize,
            DHead = config.DHead,
            DMlp = config.DMlp,
            VocabSize = config.VocabSize,
            UseRmsNorm = config.RmsNorm,
            TieEmbeddings = config.TiedUnembed,
            UsePositionalEmbeddings = hasPositions,
            UseBigramTable = config.EnableBigramTable,
            UseAttentionSinks = config.Sink,
            Activation = config.ActivationType,
            UseBias = config.Bias,
            UseFlashAttention = true,
            GradientCheckpointing = config.GradCheckpointing,
        };
        string[] theirs =
        [
            .. ours.Select(place => place == SiteKinds.NeuronBefore ? "mlp_neuron" : Places.Single(entry => entry.Ours == place).Theirs),
        ];
        var sparsity = new SparsityFields
        {
            EnableActivationSparsity = theirs.Length > 0,
            ActivationTopkFraction = config.Afrac ?? 1,
            ActivationSparsityLocations = string.Join(',', theirs),
            ActivationTopkMode = "per_token",
            MlpNeuronPreActivation = isBefore,
        };
        return new JsonObject
        {
            [ModelSection] = Written(model),
            [SparsitySection] = Written(sparsity),
            [TrainingSection] = new JsonObject { ["tokenizer_name"] = config.TokenizerName },
        };

        static JsonObject Written<T>(T fields)
        {
            JsonObject all = JsonSerializer.SerializeToNode(fields, JsonText.Options)!.AsObject();
            foreach (string name in all.Where(field => field.Value is null).Select(field => field.Key).ToArray())
            {
                all.Remove(name);
            }

            return all;
        }

        static void RequireSame(bool holds, string why)
        {
            if (!holds)
            {
                throw new BadInputException($"The replication's files cannot hold this model: {why}. Convert to run or official instead.");
            }
        }
    }

    /// <summary>
    /// The encoders' share of kept channels and the dense partner's name, from bridges_config; null where there is no such section.
    /// </summary>
    public static (double EncoderFraction, string Dense)? Bridges(JsonObject config, string path)
    {
        if (config[BridgesSection] is null)
        {
            return null;
        }

        BridgeFields bridges = JsonText.Read<BridgeFields>(Section(config, BridgesSection, path), $"{path}: {BridgesSection}");
        return (bridges.EncoderAfrac, bridges.DDense ?? "");
    }

    private static string Locations(SparsityFields sparsity, ReplicationRecipe? recipe, string path, List<string> notes)
    {
        if (!sparsity.EnableActivationSparsity)
        {
            return "";
        }

        if (sparsity.ActivationTopkMode is not (null or "per_token"))
        {
            throw new BadInputException(
                $"{path}: activation_topk_mode is {sparsity.ActivationTopkMode}, but what it does is known of "
                    + "per_token only. Use another model."
            );
        }

        string given = sparsity.ActivationSparsityLocations ?? recipe?.Locations ?? UsualLocations;
        if (sparsity.ActivationSparsityLocations is null)
        {
            notes.Add(
                recipe?.Locations is null
                    ? $"{path} does not say where AbsTopK acts, and {ReplicationRecipe.FileName} is not there or does not say it either: "
                        + $"taken for {UsualLocations}, as the replication does"
                    : $"where AbsTopK acts was read from {ReplicationRecipe.FileName}: {given} (the replication's own loader takes "
                        + $"{UsualLocations} whatever that file says)"
            );
        }

        // Split at commas and not trimmed: so does the replication, where a name behind a space does nothing.
        string[] names = [.. given.Split(',').Distinct()];
        string[] unknown = [.. names.Where(name => name.Length > 0 && !Places.Any(place => place.Theirs == name))];
        if (unknown.Length > 0)
        {
            notes.Add(
                $"AbsTopK does not act at {string.Join(", ", unknown.Select(name => $"'{name}'"))}: the replication knows no such "
                    + $"places and leaves them out without a word"
            );
        }

        bool isBefore = sparsity.MlpNeuronPreActivation is true && names.Contains("mlp_neuron");
        if (isBefore)
        {
            notes.Add(
                "mlp_neuron_pre_activation is read as AbsTopK before the activation; the code behind that field is not public, so "
                    + "this is a guess"
            );
        }

        return string.Join(
            ',',
            names
                .SelectMany(name => Places.Where(place => place.Theirs == name))
                .Select(place => isBefore && place.Theirs == "mlp_neuron" ? SiteKinds.NeuronBefore : place.Ours)
        );
    }

    private static string TokenizerName(JsonObject config) =>
        (config[TrainingSection] as JsonObject)?["tokenizer_name"] is JsonValue value && value.TryGetValue(out string? name)
            ? name
            : "unknown";

    private static JsonObject Section(JsonObject config, string name, string path) =>
        config[name] as JsonObject ?? throw new BadInputException($"{path}: has no section {name}. Use another copy.");

    /// <summary>
    /// Fields that nobody here knows may change the numbers: all of them are named at once. What training_config says changes none.
    /// </summary>
    private static void RequireKnown(JsonObject config, string path)
    {
        string[] unknown =
        [
            .. config
                .Select(field => field.Key)
                .Where(name => name is not (ModelSection or SparsitySection or TrainingSection or BridgesSection)),
            .. Unknown<ModelFields>(ModelSection),
            .. Unknown<SparsityFields>(SparsitySection),
            .. Unknown<BridgeFields>(BridgesSection),
        ];
        if (unknown.Length > 0)
        {
            throw new BadInputException(
                $"{path}: has fields that this program does not know and that may change what the model computes: "
                    + $"{string.Join(", ", unknown)}. Remove them if they do not."
            );
        }

        IEnumerable<string> Unknown<T>(string section)
        {
            HashSet<string> known = [.. JsonText.Options.GetTypeInfo(typeof(T)).Properties.Select(property => property.Name)];
            return (config[section] as JsonObject ?? [])
                .Select(field => field.Key)
                .Where(name => !known.Contains(name))
                .Select(name => $"{section}.{name}");
        }
    }

    /// <summary>model_config. Defaults are the replication's.</summary>
    private sealed record ModelFields
    {
        public int NLayer { get; init; } = 8;

        public int DModel { get; init; } = 1024;

        public int NCtx { get; init; } = 256;

        public int DHead { get; init; } = 16;

        public int? DMlp { get; init; }

        public required int VocabSize { get; init; }

        public bool UseRmsNorm { get; init; } = true;

        public bool TieEmbeddings { get; init; }

        public bool UsePositionalEmbeddings { get; init; }

        public bool UseBigramTable { get; init; } = true;

        public bool UseAttentionSinks { get; init; } = true;

        public string Activation { get; init; } = "gelu";

        public double Dropout { get; init; }

        public bool UseBias { get; init; } = true;

        public bool? UseFlashAttention { get; init; }

        public bool GradientCheckpointing { get; init; }
    }

    /// <summary>sparsity_config. Those without effect on a trained model are here to be known.</summary>
    private sealed record SparsityFields
    {
        public bool? EnableWeightSparsity { get; init; }

        [System.Text.Json.Serialization.JsonPropertyName("target_l0_fraction")]
        public double? TargetL0Fraction { get; init; }

        public double? SparsityAnnealStartFraction { get; init; }

        public double? SparsityAnnealEndFraction { get; init; }

        public string? AnnealType { get; init; }

        public int? MinWeightsPerNeuron { get; init; }

        public bool EnableActivationSparsity { get; init; } = true;

        public double ActivationTopkFraction { get; init; } = 0.25;

        public string? ActivationSparsityLocations { get; init; }

        public string? ActivationTopkMode { get; init; }

        public bool? MlpNeuronPreActivation { get; init; }

        public string? ActivationTopkAnnealing { get; init; }

        public double? ActivationTopkAnnealStartFraction { get; init; }

        public double? ActivationTopkAnnealEndFraction { get; init; }
    }

    /// <summary>bridges_config.</summary>
    private sealed record BridgeFields
    {
        public double EncoderAfrac { get; init; } = 0.25;

        public int? NLayers { get; init; }

        /// <summary>The dense partner's name, in spite of the name.</summary>
        public string? DDense { get; init; }

        public int? DSparse { get; init; }
    }
}
