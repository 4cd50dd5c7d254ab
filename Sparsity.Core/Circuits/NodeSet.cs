namespace Sparsity.Core.Circuits;

/// <summary>A set of nodes of one model, such as those of a circuit.</summary>
internal sealed class NodeSet
{
    private readonly bool[] _contains; // one per node of the layout

    /// <param name="layout">All nodes of the model.</param>
    /// <param name="numbers">The nodes of the set by their numbers in the layout, in any order.</param>
    public NodeSet(NodeLayout layout, IEnumerable<int> numbers)
    {
        Layout = layout;
        _contains = new bool[layout.Count];
        foreach (int number in numbers)
        {
            _contains[number] = true;
        }

        Count = _contains.AsSpan().Count(true);
    }

    /// <exception cref="BadInputException">The model has no such node.</exception>
    public static NodeSet Of(NodeLayout layout, IEnumerable<Node> nodes) => new(layout, nodes.Select(layout.IndexOf));

    /// <summary>Every node of the model.</summary>
    public static NodeSet All(NodeLayout layout) => new(layout, Enumerable.Range(0, layout.Count));

    public static NodeSet Empty(NodeLayout layout) => new(layout, []);

    /// <summary>All nodes of the model.</summary>
    public NodeLayout Layout { get; }

    /// <summary>Nodes in the set.</summary>
    public int Count { get; }

    /// <summary>The numbers of its nodes, in the order of computation.</summary>
    public IEnumerable<int> Numbers => Enumerable.Range(0, Layout.Count).Where(Contains);

    /// <summary>Its nodes, in the order of computation.</summary>
    public IEnumerable<Node> Nodes => Numbers.Select(number => Layout[number]);

    public bool Contains(int number) => _contains[number];

    /// <summary>The set without one of its nodes.</summary>
    public NodeSet Without(int number) => new(Layout, Numbers.Where(other => other != number));

    /// <summary>Every other node of the model.</summary>
    public NodeSet Complement() => new(Layout, Enumerable.Range(0, Layout.Count).Where(number => !Contains(number)));

    /// <summary>One entry per node of the model: 1 in the set, 0 outside.</summary>
    public float[] ToMask() => [.. _contains.Select(contained => contained ? 1f : 0f)];
}
