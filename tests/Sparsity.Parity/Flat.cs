using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sparsity.Parity;

/// <summary>Arrays of any rank as one run of numbers in row-major order, which is the order engines are written and read in.</summary>
internal static class Flat
{
    /// <summary>The entries of <paramref name="array"/> themselves: writing to the span writes to the array.</summary>
    public static Span<double> Of(Array array)
    {
        if (array.GetType().GetElementType() != typeof(double))
        {
            throw new ArgumentException($"Expected an array of double, but was given {array.GetType()}.", nameof(array));
        }

        return MemoryMarshal.CreateSpan(ref Unsafe.As<byte, double>(ref MemoryMarshal.GetArrayDataReference(array)), array.Length);
    }

    /// <summary>A copy as float32. Inputs of tests are floats held as doubles, so nothing is lost.</summary>
    public static float[] Floats(Array array)
    {
        Span<double> values = Of(array);
        var floats = new float[values.Length];
        for (int i = 0; i < floats.Length; i++)
        {
            floats[i] = (float)values[i];
        }

        return floats;
    }

    /// <summary>sum over all entries of a * b.</summary>
    public static double Dot(Array a, Array b)
    {
        Span<double> x = Of(a);
        Span<double> y = Of(b);
        if (x.Length != y.Length)
        {
            throw new ArgumentException($"Arrays of {x.Length} and {y.Length} entries have no product.", nameof(b));
        }

        double sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            sum += x[i] * y[i];
        }

        return sum;
    }

    public static double LargestMagnitude(ReadOnlySpan<double> values)
    {
        double largest = 0;
        foreach (double value in values)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        return largest;
    }
}
