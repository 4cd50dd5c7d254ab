using System.Diagnostics;

namespace Sparsity.Benchmarks;

/// <summary>Times of the same work done again and again, in milliseconds.</summary>
/// <param name="Median">The middle one.</param>
/// <param name="Spread">Half of the distance between the quartiles.</param>
public readonly record struct Measurement(double Median, double Spread)
{
    /// <summary>Runs <paramref name="work"/> for warm-up, then measures it.</summary>
    /// <param name="warmUp">Calls that are not measured.</param>
    /// <param name="repetitions">Calls that are, from 1.</param>
    /// <param name="work">What to measure.</param>
    public static Measurement Of(int warmUp, int repetitions, Action work)
    {
        for (int i = 0; i < warmUp; i++)
        {
            work();
        }

        var times = new double[repetitions];
        for (int i = 0; i < repetitions; i++)
        {
            long started = Stopwatch.GetTimestamp();
            work();
            times[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        return Of(times);
    }

    public static Measurement Of(IEnumerable<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        return new(Quantile(sorted, 0.5), (Quantile(sorted, 0.75) - Quantile(sorted, 0.25)) / 2);
    }

    private static double Quantile(double[] sorted, double share)
    {
        double place = share * (sorted.Length - 1);
        int below = (int)place;
        int above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((place - below) * (sorted[above] - sorted[below]));
    }
}
