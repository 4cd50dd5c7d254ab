namespace Sparsity.Core.Reproduction;

/// <summary>How the dense models of a <see cref="WidthMatch"/> stand to the loss looked for.</summary>
internal enum MatchKind
{
    /// <summary>One model's loss is within the tolerance.</summary>
    Matched,

    /// <summary>No width's is; the two neighbours lie on either side of it.</summary>
    Interpolated,

    /// <summary>All widths are better, or all are worse: the nearest one stands in.</summary>
    OutOfRange,
}

/// <summary>The outcome of a <see cref="WidthSearch"/>.</summary>
/// <param name="Widths">One, or two neighbours, the narrower first.</param>
/// <param name="Share">How far the loss looked for lies from the first's to the second's, in [0, 1]; 0 for one width.</param>
internal sealed record WidthMatch(MatchKind Kind, IReadOnlyList<int> Widths, double Share);

/// <summary>
/// Looks for the width at which dense models have a given validation loss; wider ones are taken to have a lower one. From a first guess it
/// goes up or down in growing strides until the loss lies between two widths, then bisects.
/// </summary>
/// <param name="widths">To choose among, ascending.</param>
/// <param name="first">One of them: where to begin.</param>
/// <param name="loss">Looked for, in nats.</param>
/// <param name="tolerance">Share of <paramref name="loss"/> by which a match may differ.</param>
internal sealed class WidthSearch(IReadOnlyList<int> widths, int first, double loss, double tolerance)
{
    private readonly double[] _losses = new double[widths.Count];
    private int? _next = Enumerable.Range(0, widths.Count).First(i => widths[i] >= first);
    private int? _matched;
    private int _stride = 1;

    /// <summary>
    /// The widest that is known to be worse than what is looked for, and the narrowest that is better; outside the range where none is.
    /// </summary>
    private int _worse = -1;

    private int _better = widths.Count;

    /// <summary>The width to train next; null when the search is over.</summary>
    public int? Next => _next is { } index ? widths[index] : null;

    /// <summary>Takes note of the loss of <see cref="Next"/>.</summary>
    public void Add(double measured)
    {
        int index = _next!.Value;
        _losses[index] = measured;
        if (Math.Abs(measured - loss) <= tolerance * loss)
        {
            (_matched, _next) = (index, null);
            return;
        }

        (_worse, _better) = measured > loss ? (index, _better) : (_worse, index);
        _next =
            _better - _worse <= 1 ? null
            : _better == widths.Count ? Math.Min(_worse + _stride, widths.Count - 1)
            : _worse < 0 ? Math.Max(_better - _stride, 0)
            : (_worse + _better) / 2;
        _stride *= 2;
    }

    /// <summary>Once <see cref="Next"/> is null.</summary>
    public WidthMatch Match()
    {
        if (_matched is { } matched)
        {
            return new WidthMatch(MatchKind.Matched, [widths[matched]], 0);
        }

        if (_worse < 0 || _better == widths.Count)
        {
            return new WidthMatch(MatchKind.OutOfRange, [_worse < 0 ? widths[0] : widths[^1]], 0);
        }

        (double narrow, double wide) = (_losses[_worse], _losses[_better]);
        return new WidthMatch(MatchKind.Interpolated, [widths[_worse], widths[_better]], (loss - narrow) / (wide - narrow));
    }
}
