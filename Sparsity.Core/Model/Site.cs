namespace Sparsity.Core.Model;

/// <summary>One place in the model.</summary>
/// <param name="Layer">0-based; of no matter for <see cref="SiteKind.FinalResid"/>.</param>
/// <param name="Kind">Which place of the layer.</param>
public readonly record struct Site(int Layer, SiteKind Kind) : IComparable<Site>
{
    /// <summary>Stands for a layer behind all others, however many a model has: that of <see cref="Final"/>.</summary>
    public const int FinalLayer = int.MaxValue;

    /// <summary>The residual behind the last layer.</summary>
    public static Site Final { get; } = new(FinalLayer, SiteKind.FinalResid);

    /// <summary>0-based; <see cref="FinalLayer"/> for <see cref="SiteKind.FinalResid"/>.</summary>
    public int Layer { get; } = Kind == SiteKind.FinalResid ? FinalLayer : Layer;

    /// <summary>The official hook name, such as "3.mlp.post_act" or "final_resid".</summary>
    public string Name => Kind == SiteKind.FinalResid ? Kind.Suffix() : $"{Layer}.{Kind.Suffix()}";

    /// <summary>The attention or MLP that a node's site belongs to, such as "3.mlp".</summary>
    internal string LayerPart => $"{Layer}.{Kind.Suffix().Split('.')[0]}";

    /// <summary>The names by any of which afrac_loctypes asks for AbsTopK here; empty where it never acts.</summary>
    public IReadOnlyList<string> AbsTopKPlaces =>
        Kind == SiteKind.ResidIn && Layer == 0 ? [SiteKinds.ResidualBefore] : Kind.PlacesOfAbsTopK();

    /// <summary>All sites of a model, in the order of computation.</summary>
    public static IEnumerable<Site> AllOf(ModelConfig config) =>
        Enumerable
            .Range(0, config.NLayer)
            .SelectMany(layer => SiteKinds.All.Where(kind => kind != SiteKind.FinalResid).Select(kind => new Site(layer, kind)))
            .Append(Final);

    /// <summary>The sites whose channels are nodes, in the order of computation.</summary>
    /// <param name="finalResid">Whether <see cref="Final"/> is one of them.</param>
    public static IEnumerable<Site> NodeSitesOf(ModelConfig config, bool finalResid = false) =>
        AllOf(config).Where(site => SiteKinds.NodeLocations.Contains(site.Kind) && (finalResid || site != Final));

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
