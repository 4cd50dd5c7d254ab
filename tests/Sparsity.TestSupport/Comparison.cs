using System.Globalization;

namespace Sparsity.TestSupport;

/// <summary>The one comparison of numbers with a tolerance.</summary>
public static class Comparison
{
    /// <summary>Passes only if every |expected - actual| &lt;= tolerance, so that NaN fails, and an infinity is close to nothing.</summary>
    /// <param name="tolerance">Absolute, the same for all entries.</param>
    /// <param name="what">What is compared, for the message.</param>
    /// <returns>The largest share of the tolerance that was used, from 0 to 1.</returns>
    public static double Close(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double tolerance, string what)
    {
        Assert.True(expected.Length == actual.Length, $"{what}: expected {expected.Length} numbers, but there are {actual.Length}.");
        double worst = 0;
        int worstIndex = -1;
        int failures = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = Math.Abs(expected[i] - actual[i]);
            if (!(difference <= tolerance))
            {
                failures++;
            }

            // NaN is the worst of all.
            if (!(difference <= worst))
            {
                worst = double.IsNaN(difference) ? double.PositiveInfinity : difference;
                worstIndex = i;
            }
        }

        double share = worst == 0 ? 0 : worst / tolerance;
        if (failures > 0)
        {
            Assert.Fail(string.Create(
                CultureInfo.InvariantCulture,
                $"{what}: {failures} of {expected.Length} numbers differ by more than {tolerance:g3}; the worst is entry {worstIndex}: "
                + $"expected {expected[worstIndex]:g9}, got {actual[worstIndex]:g9}, {share:g3} times the tolerance."));
        }

        return share;
    }

    /// <summary>
    /// As <see cref="Close"/> with a tolerance of <paramref name="relative"/> times the largest expected magnitude or 1, whichever is more: inputs of tests
    /// are of order 1, so that is the size of the terms whose rounding errors add up.
    /// </summary>
    public static double CloseRelative(Array expected, ReadOnlySpan<float> actual, double relative, string what)
    {
        Span<double> values = Flat.Of(expected);
        return Close(values, actual, relative * Math.Max(1, Flat.LargestMagnitude(values)), what);
    }

    /// <summary>Passes only if both have the same bits, so that -0 differs from 0 and a NaN equals itself.</summary>
    public static void SameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.True(expected.Length == actual.Length, $"{what}: expected {expected.Length} numbers, but there are {actual.Length}.");
        for (int i = 0; i < expected.Length; i++)
        {
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
            {
                Assert.Fail(string.Create(CultureInfo.InvariantCulture, $"{what}: entry {i}: expected {expected[i]:g9}, got {actual[i]:g9}."));
            }
        }
    }
}
