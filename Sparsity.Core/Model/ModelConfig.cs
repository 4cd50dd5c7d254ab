using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;

namespace Sparsity.Core.Model;

/// <summary>
/// The model's configuration: the official <c>beeg_config.json</c>, field by field under its own names (docs/method.md section 1;
/// GPTConfig).
/// </summary>
public sealed record ModelConfig
{
    /// <summary>Longest context in tokens, from 1; row count of wpe.</summary>
    [JsonPropertyName("block_size")]
    public int BlockSize { get; init; } = 1024;

    /// <summary>V, vocabulary entries, from 2.</summary>
    [JsonPropertyName("vocab_size")]
    public int VocabSize { get; init; } = 50304;

    /// <summary>L, layers, from 1.</summary>
    [JsonPropertyName("n_layer")]
    public int NLayer { get; init; } = 12;

    /// <summary>H, attention heads, from 1.</summary>
    [JsonPropertyName("n_head")]
    public int NHead { get; init; } = 12;

    /// <summary>Dh, channels of a head; null means d_model / n_head. H*Dh need not equal D.</summary>
    [JsonPropertyName("d_head")]
    public int? DHeadField { get; init; }

    /// <summary>D, residual channels.</summary>
    [JsonPropertyName("d_model")]
    public int DModel { get; init; } = 768;

    /// <summary>F, MLP neurons; null means 4 * d_model. Older files call it n_mlp.</summary>
    [JsonPropertyName("d_mlp")]
    public int? DMlpField { get; init; }

    /// <summary>Dropout probability; only 0 is supported.</summary>
    [JsonPropertyName("dropout")]
    public double Dropout { get; init; }

    /// <summary>Whether c_attn, c_fc and both c_proj have biases.</summary>
    [JsonPropertyName("bias")]
    public bool Bias { get; init; } = true;

    /// <summary>Whether LayerNorm has a bias; RMSNorm has none.</summary>
    [JsonPropertyName("ln_bias")]
    public bool LnBias { get; init; } = true;

    /// <summary>RMSNorm instead of LayerNorm.</summary>
    [JsonPropertyName("rms_norm")]
    public bool RmsNorm { get; init; }

    /// <summary>identity, or relu: a ReLU on the residual after each sublayer's addition.</summary>
    [JsonPropertyName("residual_activation_type")]
    public string ResidualActivationType { get; init; } = "identity";

    /// <summary>gelu or relu.</summary>
    [JsonPropertyName("activation_type")]
    public string ActivationType { get; init; } = "gelu";

    /// <summary>Fraction of channels AbsTopK keeps, in (0, 1]; null for no AbsTopK.</summary>
    [JsonPropertyName("afrac")]
    public double? Afrac { get; init; }

    /// <summary>Comma-separated places where AbsTopK acts; see <see cref="SiteKinds"/>. Empty for none.</summary>
    [JsonPropertyName("afrac_loctypes")]
    public string AfracLoctypes { get; init; } = "attn_in,attn_out,mlp_in,mlp_out";

    /// <summary>
    /// Whether AbsTopK keeps one entry where afrac * channels is below 1. The official code keeps none, and its files lack this field.
    /// </summary>
    [JsonPropertyName("afrac_at_least_one")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool AfracAtLeastOne { get; init; }

    /// <summary>Whether lm_head.weight is wte.weight.</summary>
    [JsonPropertyName("tied_unembed")]
    public bool TiedUnembed { get; init; } = true;

    /// <summary>Name of the tokenizer, for the record.</summary>
    [JsonPropertyName("tokenizer_name")]
    public string TokenizerName { get; init; } = "tinypython_2k";

    /// <summary>Whether a dense V x V table, row = current token, is added to the logits.</summary>
    [JsonPropertyName("enable_bigram_table")]
    public bool EnableBigramTable { get; init; }

    /// <summary>Whether the bigram table, if there is one, is trained.</summary>
    [JsonPropertyName("learnable_bigram_table")]
    public bool LearnableBigramTable { get; init; }

    /// <summary>
    /// Width of position embeddings concatenated to each sublayer's normed input; null adds wpe to the token embedding instead.
    /// </summary>
    [JsonPropertyName("d_pos_emb")]
    public int? DPosEmb { get; init; }

    /// <summary>Whether the concatenated position embeddings, if there are such, are fixed sinusoids.</summary>
    [JsonPropertyName("sinusoidal_cat_pos_emb")]
    public bool SinusoidalCatPosEmb { get; init; }

    /// <summary>Whether each softmax denominator has one learned logit per head.</summary>
    [JsonPropertyName("sink")]
    public bool Sink { get; init; }

    // Execution details of the official program: no meaning here, kept when the file is written again.

    [JsonPropertyName("dropout_cat_pos_emb")]
    public bool DropoutCatPosEmb { get; init; }

    [JsonPropertyName("debug_nans")]
    public bool DebugNans { get; init; }

    [JsonPropertyName("grad_checkpointing")]
    public bool GradCheckpointing { get; init; } = true;

    [JsonPropertyName("enable_sparse_kernels")]
    public bool EnableSparseKernels { get; init; }

    [JsonPropertyName("flash")]
    public bool Flash { get; init; } = true;

    /// <summary>
    /// Fields of a released file beyond these, as a JSON object; null for none. They say nothing of the model's numbers here
    /// (<see cref="ReleasedFields"/>) and are kept when the file is written again.
    /// </summary>
    [JsonIgnore]
    public string? OtherFields { get; init; }

    /// <summary>Dh: channels of a head.</summary>
    [JsonIgnore]
    public int DHead => DHeadField ?? DModel / NHead;

    /// <summary>F: MLP neurons.</summary>
    [JsonIgnore]
    public int DMlp => DMlpField ?? 4 * DModel;

    /// <summary>H*Dh: channels of each of q, k, v and y.</summary>
    [JsonIgnore]
    public int AttentionChannels => NHead * DHead;

    /// <summary>Channels that c_attn and c_fc read: D, plus d_pos_emb where positions are concatenated.</summary>
    [JsonIgnore]
    public int SublayerInputChannels => DModel + (DPosEmb ?? 0);

    [JsonIgnore]
    public NormKind NormKind => RmsNorm ? NormKind.RmsNorm : NormKind.LayerNorm;

    [JsonIgnore]
    public ActivationKind ActivationKind => ActivationType == "relu" ? ActivationKind.Relu : ActivationKind.Gelu;

    /// <summary>The small model that trains in minutes on a laptop: the paper's kind with learned positions.</summary>
    public static ModelConfig Small(int vocabulary) =>
        new()
        {
            BlockSize = 64,
            VocabSize = vocabulary,
            NLayer = 2,
            NHead = 8,
            DHeadField = 16,
            DModel = 128,
            DMlpField = 512,
            RmsNorm = true,
            Afrac = 0.25,
            AfracLoctypes = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_q,attn_k,attn_v",
            TiedUnembed = false,
            TokenizerName = "byte_level_bpe",
            EnableBigramTable = true,
            LearnableBigramTable = true,
            GradCheckpointing = false,
        };

    /// <summary>Channels at a site.</summary>
    public int ChannelsAt(SiteKind kind) =>
        kind switch
        {
            SiteKind.AttnActIn or SiteKind.MlpActIn => SublayerInputChannels,
            SiteKind.AttnQ or SiteKind.AttnK or SiteKind.AttnV or SiteKind.AttnY => AttentionChannels,
            SiteKind.MlpPreAct or SiteKind.MlpPostAct => DMlp,
            _ => DModel,
        };

    /// <summary>
    /// How many entries AbsTopK keeps at a site, floor(afrac * channels), see <see cref="AfracAtLeastOne"/>; null where it does not act.
    /// </summary>
    public int? KeptAt(Site site) =>
        Afrac is { } fraction && site.AbsTopKPlaces.Any(AfracLoctypes.Split(',').Contains)
            ? Math.Max(AfracAtLeastOne ? 1 : 0, (int)(fraction * ChannelsAt(site.Kind)))
            : null;

    /// <summary>The same model for the official code, whose configuration says less.</summary>
    /// <exception cref="BadInputException">The official code would compute something else.</exception>
    public ModelConfig ForOfficialCode()
    {
        string[] unknown = Afrac is null
            ? []
            : [.. AfracLoctypes.Split(',').Where(place => place is SiteKinds.ResidualBefore or SiteKinds.NeuronBefore)];
        bool keepsNone = AfracAtLeastOne && Site.AllOf(this).Any(site => (this with { AfracAtLeastOne = false }).KeptAt(site) is 0);
        return unknown.Length == 0 && !keepsNone
            ? this with
            {
                AfracAtLeastOne = false,
            }
            : throw new BadInputException(
                "The official code cannot compute this model: "
                    + (
                        keepsNone
                            ? "its AbsTopK would keep no entry where this model's keeps one"
                            : $"it has no AbsTopK at {string.Join(" and ", unknown)}"
                    )
                    + ". Convert to run or replication instead."
            );
    }

    /// <summary>Checks every field.</summary>
    /// <exception cref="BadInputException">A field is out of range or contradicts another.</exception>
    public ModelConfig Validated(string source = "model configuration")
    {
        Require(BlockSize >= 1, "block_size", BlockSize, "at least 1");
        Require(VocabSize is >= 2 and <= 65536, "vocab_size", VocabSize, "2 to 65536");
        Require(NLayer is >= 1 and <= 1000, "n_layer", NLayer, "1 to 1000");
        Require(NHead >= 1, "n_head", NHead, "at least 1");
        Require(DModel >= 1, "d_model", DModel, "at least 1");
        Require(DHead >= 1, "d_head", DHead, "at least 1");
        Require(DMlp >= 1, "d_mlp", DMlp, "at least 1");
        Require(DPosEmb is null or >= 1, "d_pos_emb", DPosEmb, "null or at least 1");
        Require(Dropout == 0, "dropout", Dropout, "0, as no released model uses another");
        Require(ResidualActivationType is "identity" or "relu", "residual_activation_type", ResidualActivationType, "identity or relu");
        Require(ActivationType is "gelu" or "relu", "activation_type", ActivationType, "gelu or relu");
        Require(Afrac is null or (> 0 and <= 1), "afrac", Afrac, "null or in (0, 1]");

        RequireSize("d_model * n_head * d_head", (long)DModel + (DPosEmb ?? 0), 3, NHead, DHead);
        RequireSize("d_model * d_mlp", (long)DModel + (DPosEmb ?? 0), DMlp);
        RequireSize("vocab_size * d_model", VocabSize, DModel);
        RequireSize("block_size * d_model", BlockSize, Math.Max(DModel, DPosEmb ?? 0));
        RequireSize("vocab_size * vocab_size for the bigram table", VocabSize, EnableBigramTable ? VocabSize : 1);
        foreach (string place in AfracLoctypes.Length == 0 ? [] : AfracLoctypes.Split(','))
        {
            Require(
                SiteKinds.AbsTopKPlaces.Contains(place),
                "afrac_loctypes",
                place,
                "a comma list of " + string.Join(", ", SiteKinds.AbsTopKPlaces)
            );
        }

        return this;

        void RequireSize(string product, params ReadOnlySpan<long> factors)
        {
            System.Numerics.BigInteger size = 1;
            foreach (long factor in factors)
            {
                size *= factor;
            }

            if (size > TensorSize.Most)
            {
                throw new BadInputException(
                    $"{source}: {product} makes a tensor of {size} numbers, but one holds at most {TensorSize.Most}. Use a smaller model."
                );
            }
        }

        void Require(bool holds, string field, object? given, string expected)
        {
            if (!holds)
            {
                throw new BadInputException($"{source}: {field} is {given ?? "null"}, but must be {expected}.");
            }
        }
    }

    /// <summary>Reads the official JSON, old field names included.</summary>
    /// <param name="json">A flat JSON object.</param>
    /// <param name="source">Where it came from, for messages.</param>
    /// <param name="isStored"> Whether it belongs to stored weights: the further fields of released files are then checked and kept. A
    /// user's settings may not have them.
    /// </param>
    /// <exception cref="BadInputException">It is not such an object, has unknown fields, or a value is out of range.</exception>
    public static ModelConfig Parse(string json, string source, bool isStored = false) =>
        Parse(JsonText.ParseObject(json, source), source, isStored);

    /// <inheritdoc cref="Parse(string, string, bool)"/>
    public static ModelConfig Parse(JsonObject fields, string source, bool isStored = false) =>
        new ModelConfig().With(fields, source, isStored);

    /// <summary>This model with the fields that a user's settings give; all others keep their values.</summary>
    /// <inheritdoc cref="Parse(string, string, bool)"/>
    public ModelConfig With(JsonObject fields, string source) => With(fields, source, isStored: false);

    private ModelConfig With(JsonObject fields, string source, bool isStored)
    {
        ReleasedFields.Rename(fields, source);
        string[] unknown = [.. fields.Select(field => field.Key).Where(name => !(isStored ? IsStoredField(name) : IsField(name)))];
        if (unknown.Length > 0)
        {
            (string s, string it) = unknown.Length == 1 ? ("", "it") : ("s", "them");
            throw new BadInputException($"{source}: unknown field{s} '{string.Join("', '", unknown)}'; check the spelling or remove {it}.");
        }

        string? others = ReleasedFields.TakeFrom(fields, source);
        return (JsonText.Over(this, fields, source) with { OtherFields = others }).Validated(source);
    }

    /// <summary>The official JSON.</summary>
    public string ToJson()
    {
        if (OtherFields is null)
        {
            return JsonText.Write(this);
        }

        JsonObject all = JsonSerializer.SerializeToNode(this, JsonText.Options)!.AsObject();
        foreach ((string name, JsonNode? value) in JsonNode.Parse(OtherFields)!.AsObject())
        {
            all[name] = value?.DeepClone();
        }

        return JsonText.Write(all);
    }

    /// <summary>Whether a configuration that belongs to stored weights may have a field of this name.</summary>
    internal static bool IsStoredField(string name) => IsField(name) || ReleasedFields.IsKnown(name);

    private static bool IsField(string name) =>
        JsonText.Options.GetTypeInfo(typeof(ModelConfig)).Properties.Any(property => property.Name == name);
}
