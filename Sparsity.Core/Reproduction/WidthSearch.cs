namespace Sparsity.Core.Reproduction;

/// <summary>How the dense models of a <see cref="WidthMatch"/> stand to the loss looked for.</summary>
public enum MatchKind
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
public sealed record WidthMatch(MatchKind Kind, IReadOnlyList<int> Widths, double Share);

/// <summary>Bisects for the width at which dense models have a given validation loss; wider ones are taken to have a lower one.</summary>
/// <param name="widths">To choose among, ascending.</param>
/// <param name="loss">Looked for, in nats.</param>
/// <param name="tolerance">Share of <paramref name="loss"/> by which a match may differ.</param>
public sealed class WidthSearch(IReadOnlyList<int> widths, double loss, double tolerance)
{
    private readonly Dictionary<int, double> _losses = [];
    private int _low;
    private int _high = widths.Count - 1;
    private int? _matched;

    /// <summary>The width to train next; null when the search is over.</summary>
    public int? Next => _matched is null && _low <= _high ? widths[(_low + _high) / 2] : null;

    /// <summary>Takes note of the loss of <see cref="Next"/>.</summary>
    public void Add(double measured)
    {
        int middle = (_low + _high) / 2;
        _losses[widths[middle]] = measured;
        if (Math.Abs(measured - loss) <= tolerance * loss)
        {
            _matched = widths[middle];
        }
        else if (measured > loss)
        {
            _low = middle + 1;
        }
        else
        {
            _high = middle - 1;
        }
    }

    /// <summary>Once <see cref="Next"/> is null.</summary>
    public WidthMatch Match()
    {
        if (_matched is { } width)
        {
            return new WidthMatch(MatchKind.Matched, [width], 0);
        }

        if (_high < 0 || _low >= widths.Count)
        {
            return new WidthMatch(MatchKind.OutOfRange, [_high < 0 ? widths[0] : widths[^1]], 0);
        }

        (double narrow, double wide) = (_losses[widths[_high]], _losses[widths[_low]]);
        return new WidthMatch(MatchKind.Interpolated, [widths[_high], widths[_low]], (loss - narrow) / (wide - narrow));
    }
}
