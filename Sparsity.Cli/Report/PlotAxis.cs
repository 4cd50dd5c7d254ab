namespace Sparsity.Cli.Report;

/// <summary>A numeric axis: values onto pixels, and where its ticks stand.</summary>
internal sealed class PlotAxis
{
    private readonly double _low;
    private readonly double _high;
    private readonly double _from;
    private readonly double _to;

    /// <param name="values">What has to fit on it.</param>
    /// <param name="from">Pixel of the low end.</param>
    /// <param name="to">Pixel of the high end.</param>
    /// <param name="withZero">Whether a linear axis starts at 0.</param>
    /// <param name="logarithmic">Taken back where a value is not above 0.</param>
    public PlotAxis(IEnumerable<double> values, double from, double to, bool withZero, bool logarithmic = false)
    {
        double[] finite = [.. values.Where(double.IsFinite)];
        (_from, _to) = (from, to);
        IsLogarithmic = logarithmic && finite.Length > 0 && finite.Min() > 0;
        double low = finite.Length == 0 || (withZero && !IsLogarithmic) ? Math.Min(0, finite.DefaultIfEmpty(0).Min()) : finite.Min();
        double high = finite.DefaultIfEmpty(1).Max();
        if (!(high > low))
        {
            high = low == 0 ? 1 : low + Math.Abs(low);
        }

        if (IsLogarithmic)
        {
            Ticks = [.. LogarithmicTicks(low, high)];
        }
        else
        {
            double step = NiceStep((high - low) / 5);
            double first = Math.Floor(low / step);
            double last = Math.Ceiling((high / step) - 1e-9);
            Ticks = [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => Math.Round((first + i) * step, 12))];
        }

        _low = Math.Min(low, Ticks[0]);
        _high = Math.Max(high, Ticks[^1]);
    }

    public IReadOnlyList<double> Ticks { get; }

    public bool IsLogarithmic { get; }

    public double At(double value) => _from + ((_to - _from) * (Scaled(value) - Scaled(_low)) / (Scaled(_high) - Scaled(_low)));

    private double Scaled(double value) => IsLogarithmic ? Math.Log(value) : value;

    /// <summary>1, 2 or 5 times a power of ten.</summary>
    private static double NiceStep(double step)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(step)));
        return power
            * (
                (step / power) switch
                {
                    <= 1 => 1,
                    <= 2 => 2,
                    <= 5 => 5,
                    _ => 10,
                }
            );
    }

    /// <summary>From the 1-2-5 number at or below low to the one at or above high; only powers of ten over more than two decades.</summary>
    private static IEnumerable<double> LogarithmicTicks(double low, double high)
    {
        double[] factors = high / low > 100 ? [1] : [1, 2, 5];
        double[] candidates =
        [
            .. Enumerable
                .Range((int)Math.Floor(Math.Log10(low)) - 1, (int)Math.Ceiling(Math.Log10(high / low)) + 4)
                .SelectMany(power => factors.Select(factor => factor * Math.Pow(10, power))),
        ];
        double first = candidates.Last(tick => tick <= low * (1 + 1e-9));
        double last = candidates.First(tick => tick >= high * (1 - 1e-9));
        return candidates.Where(tick => tick >= first && tick <= last);
    }
}
