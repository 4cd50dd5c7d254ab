using System.Text.Json.Serialization;
using Sparsity.Core.Model;

namespace Sparsity.Core.Circuits;

/// <summary>
/// A node of circuits: one channel of a node location. Its name is LAYER.LOCATION.CHANNEL, such as 10.attn.resid_delta.83, or
/// final_resid.CHANNEL; files hold the name.
/// </summary>
/// <param name="Site">At one of <see cref="SiteKinds.NodeLocations"/>.</param>
/// <param name="Channel">0-based.</param>
[JsonConverter(typeof(NodeJsonConverter))]
public readonly record struct Node(Site Site, int Channel) : IComparable<Node>
{
    /// <summary>How names are written, for messages.</summary>
    internal const string Grammar = "Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12, or final_resid.CHANNEL.";

    public string Name => $"{Site.Name}.{Channel}";

    /// <summary>Reads <see cref="Name"/>.</summary>
    /// <exception cref="BadInputException">No model has a node of this name.</exception>
    public static Node Parse(string name) =>
        TryParse(name, out Node node) ? node : throw new BadInputException($"'{name}' is no node. {Grammar}");

    /// <summary>Reads <see cref="Name"/>, which is written in one way only: without signs, spaces, and zeros before a number.</summary>
    /// <returns>Whether some model has a node of this name.</returns>
    public static bool TryParse(string? name, out Node node)
    {
        int dot = name?.LastIndexOf('.') ?? -1;
        if (name is not null && dot > 0 && NumberText.TryParse(name.AsSpan(dot + 1), out int channel) && channel >= 0)
        {
            _ = NumberText.TryParse(name.AsSpan(0, name.IndexOf('.')), out int layer); // final_resid has none
            foreach (SiteKind location in SiteKinds.NodeLocations)
            {
                node = new Node(new Site(layer, location), channel);
                if (layer >= 0 && node.Name == name)
                {
                    return true;
                }
            }
        }

        node = default;
        return false;
    }

    public int CompareTo(Node other) => (Site, Channel).CompareTo((other.Site, other.Channel));

    public override string ToString() => Name;
}
