namespace Sparsity.Core.Model;

/// <summary>
/// The places of a layer where activations can be seen and changed, in the order they are computed. Eight of them are node locations
/// (docs/method.md section 4). AbsTopK, node masks, recording and interventions all act at these and nowhere else.
/// </summary>
public enum SiteKind
{
    ResidIn,
    AttnActIn,
    AttnQ,
    AttnK,
    AttnV,
    AttnY,
    AttnResidDelta,
    ResidMid,
    MlpActIn,
    MlpPreAct,
    MlpPostAct,
    MlpResidDelta,
    FinalResid,
}

/// <summary>What is known of each <see cref="SiteKind"/>.</summary>
public static class SiteKinds
{
    /// <summary>
    /// AbsTopK at the start of every layer: on the embedding too, and not after the last layer. Not in the official code.
    /// </summary>
    public const string ResidualBefore = "resid_pre";

    /// <summary>AbsTopK on c_fc's output, before the nonlinearity. Not in the official code.</summary>
    public const string NeuronBefore = "mlp_pre_act";

    private static readonly (string Suffix, string[] AbsTopKPlaces, bool IsNode)[] Table =
    [
        ("resid_in", ["resid_post_mlp", ResidualBefore], false),
        ("attn.act_in", ["attn_in"], true),
        ("attn.q", ["attn_q"], true),
        ("attn.k", ["attn_k"], true),
        ("attn.v", ["attn_v"], true),
        ("attn.y", [], false),
        ("attn.resid_delta", ["attn_out"], true),
        ("resid_mid", ["resid_post_attn"], false),
        ("mlp.act_in", ["mlp_in"], true),
        ("mlp.pre_act", [NeuronBefore], false),
        ("mlp.post_act", ["mlp_neuron"], true),
        ("mlp.resid_delta", ["mlp_out"], true),
        ("final_resid", ["resid_post_mlp"], false),
    ];

    /// <summary>Every kind, in the order of computation.</summary>
    public static IReadOnlyList<SiteKind> All { get; } = Enum.GetValues<SiteKind>();

    /// <summary>
    /// The paper's eight node locations, in the order of computation. <see cref="SiteKind.FinalResid"/> is the ninth, of circuits that ask
    /// for it.
    /// </summary>
    public static IReadOnlyList<SiteKind> Nodes { get; } = [.. All.Where(kind => kind.IsNode())];

    /// <summary>
    /// The names that afrac_loctypes may list: the ten of the official code, <see cref="ResidualBefore"/> and <see cref="NeuronBefore"/>.
    /// </summary>
    public static IReadOnlyList<string> AbsTopKPlaces { get; } = [.. Table.SelectMany(row => row.AbsTopKPlaces).Distinct()];

    /// <summary>All suffixes but that of the last site, for messages.</summary>
    internal static string SuffixList { get; } =
        string.Join(", ", All.Where(kind => kind != SiteKind.FinalResid).Select(kind => kind.Suffix()));

    /// <summary>The official hook name without its layer, such as "attn.act_in".</summary>
    public static string Suffix(this SiteKind kind) => Table[(int)kind].Suffix;

    /// <summary>Whether the channels here are nodes of every circuit.</summary>
    public static bool IsNode(this SiteKind kind) => Table[(int)kind].IsNode;

    /// <summary>
    /// Whether a node's channel is one of the residual stream: it reads it (act_in), writes it (resid_delta), or is what is left of it at
    /// its end (final_resid).
    /// </summary>
    public static bool IsResidual(this SiteKind kind) =>
        kind is SiteKind.AttnActIn or SiteKind.MlpActIn or SiteKind.AttnResidDelta or SiteKind.MlpResidDelta or SiteKind.FinalResid;

    internal static IReadOnlyList<string> PlacesOfAbsTopK(this SiteKind kind) => Table[(int)kind].AbsTopKPlaces;
}

/// <summary>One place in the model.</summary>
/// <param name="Layer">0-based; for <see cref="SiteKind.FinalResid"/> the number of layers.</param>
/// <param name="Kind">Which place of the layer.</param>
public readonly record struct Site(int Layer, SiteKind Kind) : IComparable<Site>
{
    /// <summary>The official hook name, such as "3.mlp.post_act" or "final_resid".</summary>
    public string Name => Kind == SiteKind.FinalResid ? Kind.Suffix() : $"{Layer}.{Kind.Suffix()}";

    /// <summary>The names by any of which afrac_loctypes asks for AbsTopK here; empty where it never acts.</summary>
    public IReadOnlyList<string> AbsTopKPlaces =>
        Kind == SiteKind.ResidIn && Layer == 0 ? [SiteKinds.ResidualBefore] : Kind.PlacesOfAbsTopK();

    /// <summary>All sites of a model, in the order of computation.</summary>
    public static IEnumerable<Site> AllOf(ModelConfig config) =>
        Enumerable
            .Range(0, config.NLayer)
            .SelectMany(layer => SiteKinds.All.Where(kind => kind != SiteKind.FinalResid).Select(kind => new Site(layer, kind)))
            .Append(new Site(config.NLayer, SiteKind.FinalResid));

    /// <summary>The sites whose channels are nodes, in the order of computation.</summary>
    /// <param name="finalResid">Whether <see cref="SiteKind.FinalResid"/> is one of them.</param>
    public static IEnumerable<Site> NodeSitesOf(ModelConfig config, bool finalResid = false) =>
        AllOf(config).Where(site => site.Kind.IsNode() || (finalResid && site.Kind == SiteKind.FinalResid));

    /// <summary>Reads <see cref="Name"/>.</summary>
    /// <exception cref="BadInputException">The model has no such site.</exception>
    public static Site Parse(string name, ModelConfig config)
    {
        foreach (Site site in AllOf(config))
        {
            if (site.Name == name)
            {
                return site;
            }
        }

        throw new BadInputException(
            $"'{name}' is no site of this model. Sites are LAYER.SUFFIX with layer 0 to {config.NLayer - 1} and suffix one of "
                + $"{SiteKinds.SuffixList}; or final_resid."
        );
    }

    public int CompareTo(Site other) => (Layer, Kind).CompareTo((other.Layer, other.Kind));

    public override string ToString() => Name;
}

/// <summary>Something that looks at or changes activations during a pass. Added to <see cref="ForwardState.Hooks"/>.</summary>
public interface ISiteHook
{
    /// <summary>
    /// Whether it must see every token at every site. Where not, a pass may leave out tokens at sites that nothing reads them from: B and T
    /// are then those of the rest.
    /// </summary>
    bool NeedsEveryToken => true;

    /// <summary>Whether <see cref="Forward"/> may change the activation at this site.</summary>
    bool Changes(Site site) => true;

    /// <summary>Called when the activation [B,T,C] at a site is final, after AbsTopK; may change it in place.</summary>
    void Forward(Site site, Engine.ActivationTensor activation);

    /// <summary>
    /// Called with the gradient [B,T,C] of the loss with respect to what <see cref="Forward"/> left; must turn it in place into that of
    /// what Forward found.
    /// </summary>
    void Backward(Site site, Engine.ActivationTensor gradient);
}
