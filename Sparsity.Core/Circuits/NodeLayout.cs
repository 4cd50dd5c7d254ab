using Sparsity.Core.Model;

namespace Sparsity.Core.Circuits;

/// <summary>
/// Numbers all nodes of a model, in the order of computation: masks, means and scores of all nodes are arrays in this order.
/// </summary>
internal sealed class NodeLayout
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

    /// <exception cref="BadInputException">The model has no such node.</exception>
    public int IndexOf(Node node)
    {
        for (int i = 0; i < Sites.Count; i++)
        {
            if (Sites[i] == node.Site && node.Channel < _starts[i + 1] - _starts[i])
            {
                return _starts[i] + node.Channel;
            }
        }

        throw NoNode(node.Name);
    }

    /// <summary>Reads a node's name.</summary>
    /// <exception cref="BadInputException">The model has no such node.</exception>
    public Node Parse(string name) => Node.TryParse(name, out Node node) ? this[IndexOf(node)] : throw NoNode(name);

    private static BadInputException NoNode(string name) =>
        new(
            $"'{name}' is no node of this model. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12; in circuits that have "
                + $"them also final_resid.CHANNEL."
        );
}
