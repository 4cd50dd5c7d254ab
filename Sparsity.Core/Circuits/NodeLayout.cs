using Sparsity.Core.Model;

namespace Sparsity.Core.Circuits;

/// <summary>A node of circuits: one channel of a node location, for instance 10.attn.resid_delta.83.</summary>
/// <param name="Site">One of the eight node locations of a layer, or final_resid.</param>
/// <param name="Channel">0-based.</param>
public readonly record struct Node(Site Site, int Channel) : IComparable<Node>
{
    public string Name => $"{Site.Name}.{Channel}";

    /// <summary>Whether some model has a node of this name.</summary>
    public static bool IsName(string name)
    {
        int dot = name.LastIndexOf('.');
        if (dot < 0 || !NumberText.TryParse(name.AsSpan(dot + 1), out int channel) || channel < 0)
        {
            return false;
        }

        _ = NumberText.TryParse(name.AsSpan(0, name.IndexOf('.')), out int layer);
        return layer >= 0 && SiteKinds.Nodes.Append(SiteKind.FinalResid).Any(kind => new Node(new Site(layer, kind), channel).Name == name);
    }

    public int CompareTo(Node other) => (Site, Channel).CompareTo((other.Site, other.Channel));

    public override string ToString() => Name;
}

/// <summary>
/// Numbers all nodes of a model, in the order of computation: masks, means and scores of all nodes are arrays in this order.
/// </summary>
public sealed class NodeLayout
{
    private readonly int[] _starts;

    /// <param name="config">The model.</param>
    /// <param name="finalResid">Whether the channels of final_resid are nodes too: a ninth location, which the paper's circuits do not have
    /// and those of its release do.</param>
    public NodeLayout(ModelConfig config, bool finalResid = false)
    {
        Config = config;
        Sites = [.. Site.NodeSitesOf(config, finalResid)];
        _starts = new int[Sites.Count + 1];
        for (int i = 0; i < Sites.Count; i++)
        {
            _starts[i + 1] = _starts[i] + config.ChannelsAt(Sites[i].Kind);
        }
    }

    public ModelConfig Config { get; }

    /// <summary>The node locations of every layer, and final_resid where it is one.</summary>
    public IReadOnlyList<Site> Sites { get; }

    /// <summary>All nodes of the model.</summary>
    public int Count => _starts[^1];

    /// <summary>Where the nodes of <see cref="Sites"/>[i] lie in arrays over all nodes.</summary>
    public Range RangeOf(int site) => _starts[site].._starts[site + 1];

    /// <summary>The numbers of channel i of q and channel i of k, for every layer and channel.</summary>
    public IEnumerable<(int Query, int Key)> QueryKeyPairs =>
        from layer in Enumerable.Range(0, Config.NLayer)
        from channel in Enumerable.Range(0, Config.AttentionChannels)
        select (IndexOf(new Node(new Site(layer, SiteKind.AttnQ), channel)), IndexOf(new Node(new Site(layer, SiteKind.AttnK), channel)));

    public Node this[int index]
    {
        get
        {
            int site = Array.BinarySearch(_starts, index);
            site = site >= 0 ? site : ~site - 1;
            return new Node(Sites[site], index - _starts[site]);
        }
    }

    public int IndexOf(Node node)
    {
        for (int i = 0; i < Sites.Count; i++)
        {
            if (Sites[i] == node.Site)
            {
                return _starts[i] + node.Channel;
            }
        }

        throw new ArgumentException($"{node} is no node of this model.");
    }

    /// <summary>One entry per node: whether it is among those named.</summary>
    /// <exception cref="BadInputException">The model has no such node.</exception>
    public bool[] MaskOf(IEnumerable<string> names)
    {
        var mask = new bool[Count];
        foreach (string name in names)
        {
            mask[IndexOf(Parse(name))] = true;
        }

        return mask;
    }

    /// <summary>Reads a node's name.</summary>
    /// <exception cref="BadInputException">The model has no such node.</exception>
    public Node Parse(string name)
    {
        int dot = name.LastIndexOf('.');
        if (dot > 0 && NumberText.TryParse(name.AsSpan(dot + 1), out int channel) && channel >= 0)
        {
            var node = new Node(Site.Parse(name[..dot], Config), channel);
            if (Sites.Contains(node.Site) && channel < Config.ChannelsAt(node.Site.Kind))
            {
                return node;
            }
        }

        throw new BadInputException(
            $"'{name}' is no node of this model. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12; in circuits that have "
                + $"them also final_resid.CHANNEL."
        );
    }
}
