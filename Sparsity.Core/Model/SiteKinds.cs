namespace Sparsity.Core.Model;

/// <summary>The one table of the places of a layer: their names, which of them hold nodes, and what nodes there are.</summary>
internal static class SiteKinds
{
    /// <summary>
    /// AbsTopK at the start of every layer: on the embedding too, and not after the last layer. Not in the official code.
    /// </summary>
    public const string ResidualBefore = "resid_pre";

    /// <summary>AbsTopK on c_fc's output, before the nonlinearity. Not in the official code.</summary>
    public const string NeuronBefore = "mlp_pre_act";

    // In the order of SiteKind, which is that of computation.
    private static readonly Entry[] Table =
    [
        new("resid_in", ["resid_post_mlp", ResidualBefore]),
        new("attn.act_in", ["attn_in"], "attn in", "normed input of attention", Reads: true),
        new("attn.q", ["attn_q"], "q k v", "query", HeadPart: "q"),
        new("attn.k", ["attn_k"], "q k v", "key", HeadPart: "k"),
        new("attn.v", ["attn_v"], "q k v", "value", HeadPart: "v"),
        new("attn.y", []),
        new("attn.resid_delta", ["attn_out"], "attn out", "what attention adds to the residual", Writes: true),
        new("resid_mid", ["resid_post_attn"]),
        new("mlp.act_in", ["mlp_in"], "mlp in", "normed input of the MLP", Reads: true),
        new("mlp.pre_act", [NeuronBefore]),
        new("mlp.post_act", ["mlp_neuron"], "neurons", "MLP neuron"),
        new("mlp.resid_delta", ["mlp_out"], "mlp out", "what the MLP adds to the residual", Writes: true),
        new("final_resid", ["resid_post_mlp"], "final", "final residual, which the logits read", Reads: true),
    ];

    /// <summary>Every kind, in the order of computation.</summary>
    public static IReadOnlyList<SiteKind> All { get; } = Enum.GetValues<SiteKind>();

    /// <summary>
    /// The node locations, in the order of computation: the paper's eight, and <see cref="SiteKind.FinalResid"/>, the ninth, of circuits
    /// that ask for it.
    /// </summary>
    public static IReadOnlyList<SiteKind> NodeLocations { get; } = [.. All.Where(kind => Table[(int)kind].Row is not null)];

    /// <summary>
    /// The names that afrac_loctypes may list: the ten of the official code, <see cref="ResidualBefore"/> and <see cref="NeuronBefore"/>.
    /// </summary>
    public static IReadOnlyList<string> AbsTopKPlaces { get; } = [.. Table.SelectMany(row => row.AbsTopKPlaces).Distinct()];

    /// <summary>All suffixes but that of the last site, for messages.</summary>
    internal static string SuffixList { get; } =
        string.Join(", ", All.Where(kind => kind != SiteKind.FinalResid).Select(kind => kind.Suffix()));

    /// <summary>The official hook name without its layer, such as "attn.act_in".</summary>
    public static string Suffix(this SiteKind kind) => Table[(int)kind].Suffix;

    /// <summary>The row of a drawing that nodes of this location stand in; q, k and v share one. Null where there are no nodes.</summary>
    public static string? Row(this SiteKind kind) => Table[(int)kind].Row;

    /// <summary>What a node of this location is, in words. Null where there are no nodes.</summary>
    public static string? Meaning(this SiteKind kind) => Table[(int)kind].Meaning;

    /// <summary>"q", "k" or "v" where the channels are those of attention heads; null elsewhere.</summary>
    public static string? HeadPart(this SiteKind kind) => Table[(int)kind].HeadPart;

    /// <summary>Whether a node of this location reads its channel of the residual stream: act_in, and final_resid for the logits.</summary>
    public static bool ReadsResidual(this SiteKind kind) => Table[(int)kind].Reads;

    /// <summary>Whether a node of this location writes to its channel of the residual stream: resid_delta.</summary>
    public static bool WritesResidual(this SiteKind kind) => Table[(int)kind].Writes;

    /// <summary>Whether a node's channel is one of the residual stream.</summary>
    public static bool IsResidual(this SiteKind kind) => kind.ReadsResidual() || kind.WritesResidual();

    internal static IReadOnlyList<string> PlacesOfAbsTopK(this SiteKind kind) => Table[(int)kind].AbsTopKPlaces;

    private sealed record Entry(
        string Suffix,
        string[] AbsTopKPlaces,
        string? Row = null,
        string? Meaning = null,
        bool Reads = false,
        bool Writes = false,
        string? HeadPart = null
    );
}
