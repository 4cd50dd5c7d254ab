using System.Globalization;

namespace Sparsity.Parity;

/// <summary>The one comparison of numbers with a tolerance.</summary>
internal static class Comparison
{
    /// <summary>The largest difference of two runs of numbers. NaN counts as an infinite difference, as an infinity does.</summary>
    /// <param name="tolerance">Absolute, the same for all entries.</param>
    /// <param name="what">What is compared.</param>
    /// <exception cref="ComparisonException">There are not as many numbers as expected.</exception>
    public static ParityResult Compare(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double tolerance, string what)
    {
        RequireSameCount(expected.Length, actual.Length, what);
        double worst = 0;
        int worstIndex = 0;
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

        string detail =
            failures == 0
                ? ""
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{failures} of {expected.Length} numbers differ by more; the worst is entry {worstIndex}: expected "
                        + $"{expected[worstIndex]:g9}, got {actual[worstIndex]:g9}"
                );
        return new ParityResult(what, worst, tolerance, detail);
    }

    /// <summary>As <see cref="Compare"/>, and fails unless every difference is within the tolerance.</summary>
    /// <returns>The largest share of the tolerance that was used, from 0 to 1.</returns>
    public static double Close(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double tolerance, string what)
    {
        ParityResult result = Compare(expected, actual, tolerance, what);
        if (!result.Ok)
        {
            throw new ComparisonException(result.ToString());
        }

        return result.Difference == 0 ? 0 : result.Difference / tolerance;
    }

    /// <summary>
    /// As <see cref="Close"/> with a tolerance of <paramref name="relative"/> times the largest expected magnitude or 1, whichever is more:
    /// inputs of tests are of order 1, so that is the size of the terms whose rounding errors add up.
    /// </summary>
    public static double CloseRelative(Array expected, ReadOnlySpan<float> actual, double relative, string what)
    {
        Span<double> values = Flat.Of(expected);
        return Close(values, actual, ScaleOf(values) * relative, what);
    }

    /// <summary>The largest magnitude of <paramref name="expected"/>, at least 1.</summary>
    public static double ScaleOf(ReadOnlySpan<double> expected) => Math.Max(1, Flat.LargestMagnitude(expected));

    /// <summary>Passes only if both have the same bits, so that -0 differs from 0 and a NaN equals itself.</summary>
    public static void SameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        RequireSameCount(expected.Length, actual.Length, what);
        for (int i = 0; i < expected.Length; i++)
        {
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
            {
                throw new ComparisonException(
                    string.Create(CultureInfo.InvariantCulture, $"{what}: entry {i}: expected {expected[i]:g9}, got {actual[i]:g9}.")
                );
            }
        }
    }

    private static void RequireSameCount(int expected, int actual, string what)
    {
        if (expected != actual)
        {
            throw new ComparisonException($"{what}: expected {expected} numbers, but there are {actual}.");
        }
    }
}

/// <summary>Numbers are not what they should be; the message says which, and by how much.</summary>
internal sealed class ComparisonException(string message) : Exception(message);
