using System.Globalization;
using Sparsity.Core;

namespace Sparsity.TestSupport;

/// <summary>
/// Central differences in double: (L(x + h) - L(x - h)) / 2h. With h = 1e-5 and losses of order 1 to 100 their own error is below 1e-8:
/// h^2 times the third derivative, and 1e-16 * L / h.
/// </summary>
internal static class FiniteDifference
{
    private const double Step = 1e-5;
    private const int SampledEntries = 24;
    private const int Directions = 2;

    /// <summary>
    /// Compares a gradient with differences of <paramref name="loss"/>: entry by entry (all of them, or of a large array the first, the
    /// last and a sample), and along random directions, which every entry takes part in.
    /// </summary>
    /// <param name="loss">Reads <paramref name="input"/> anew at every call.</param>
    /// <param name="input">Changed during the call and then restored.</param>
    /// <param name="gradient">The engine's gradient of the loss with respect to the input.</param>
    /// <param name="relative">Tolerance as a share of the largest magnitude of the gradient, or of 1 if it is smaller.</param>
    public static void Check(Func<double> loss, Array input, ReadOnlySpan<float> gradient, double relative, string what)
    {
        Span<double> x = Flat.Of(input);
        Assert.True(x.Length == gradient.Length, $"{what}: the input has {x.Length} entries, its gradient {gradient.Length}.");
        var random = RandomSource.For(7, what);
        double largest = 1;
        foreach (float entry in gradient)
        {
            Assert.True(float.IsFinite(entry), $"{what}: the gradient has an entry that is not finite.");
            largest = Math.Max(largest, Math.Abs(entry));
        }

        int count = Math.Min(x.Length, SampledEntries);
        var expected = new double[count];
        var actual = new float[count];
        var names = new int[count];
        for (int i = 0; i < count; i++)
        {
            names[i] =
                x.Length <= SampledEntries ? i
                : i == 0 ? 0
                : i == 1 ? x.Length - 1
                : random.NextInt(x.Length);
            expected[i] = OfEntry(loss, ref x[names[i]]);
            actual[i] = gradient[names[i]];
        }

        Comparison.Close(expected, actual, relative * largest, $"{what}, entries {string.Join(' ', names.Take(30))}");
        for (int i = 0; i < Directions; i++)
        {
            AlongDirection(loss, x, gradient, relative, random, $"{what}, direction {i}");
        }
    }

    private static double OfEntry(Func<double> loss, ref double x)
    {
        double before = x;
        x = before + Step;
        double above = loss();
        x = before - Step;
        double below = loss();
        x = before;
        return (above - below) / (2 * Step);
    }

    private static void AlongDirection(
        Func<double> loss,
        Span<double> x,
        ReadOnlySpan<float> gradient,
        double relative,
        RandomSource random,
        string what
    )
    {
        double[] before = x.ToArray();
        var direction = new double[x.Length];
        double expected = 0;
        double squares = 0;
        for (int i = 0; i < x.Length; i++)
        {
            direction[i] = random.NextBool() ? 1 : -1;
            expected += direction[i] * gradient[i];
            squares += (double)gradient[i] * gradient[i];
        }

        // The step is shared out so that the whole input moves by about as much as one entry does above.
        double step = Step / Math.Sqrt(x.Length);
        Move(x, before, direction, step);
        double above = loss();
        Move(x, before, direction, -step);
        double below = loss();
        before.CopyTo(x);
        double difference = (above - below) / (2 * step);

        // Rounding errors of the entries are independent: they add up as a random walk does. The second term is the difference's own.
        double tolerance = (relative * Math.Max(Math.Sqrt(squares), 1) * 2) + (1e-15 * (Math.Abs(above) + x.Length) / step);
        Assert.True(
            Math.Abs(expected - difference) <= tolerance,
            string.Create(CultureInfo.InvariantCulture, $"{what}: expected {difference:g9}, got {expected:g9}, tolerance {tolerance:g3}.")
        );
    }

    private static void Move(Span<double> x, double[] from, double[] direction, double step)
    {
        for (int i = 0; i < from.Length; i++)
        {
            x[i] = from[i] + (step * direction[i]);
        }
    }
}
