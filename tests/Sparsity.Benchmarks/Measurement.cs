using System.Diagnostics;
using Sparsity.Kernels;

namespace Sparsity.Benchmarks;

/// <summary>Times of the same work done again and again, in milliseconds.</summary>
/// <param name="Median">The middle one.</param>
/// <param name="Spread">Half of the distance between the quartiles.</param>
internal readonly record struct Measurement(double Median, double Spread)
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

    /// <summary>
    /// As above, for operations of an engine. A GPU works on after a call returns, and waiting for it costs some 10 microseconds: short
    /// operations are called so often between two waits that these do not count.
    /// </summary>
    /// <param name="engine">Whose operations are called.</param>
    /// <returns>Of one call.</returns>
    public static Measurement Of(IMeasuredEngine engine, int warmUp, int repetitions, Action work)
    {
        const double LeastMilliseconds = 3;
        const double LongMilliseconds = 300;
        const int MostCalls = 200;
        Measurement once = Of(
            warmUp,
            engine.Name == "cpu" ? repetitions : 3,
            () =>
            {
                work();
                engine.Wait();
            }
        );
        if (engine.Name == "cpu" || once.Median > LongMilliseconds)
        {
            return once;
        }

        int calls = (int)Math.Clamp(Math.Ceiling(LeastMilliseconds / once.Median), 1, MostCalls);
        Measurement several = Of(
            0,
            repetitions,
            () =>
            {
                for (int i = 0; i < calls; i++)
                {
                    work();
                }

                engine.Wait();
            }
        );
        return new(several.Median / calls, several.Spread / calls);
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
