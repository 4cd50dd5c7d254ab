using Sparsity.Core;

namespace Sparsity.Benchmarks;

/// <summary>Inputs of benchmarks: the same for the same seed.</summary>
internal static class RandomNumbers
{
    /// <summary>So many numbers are drawn; longer arrays repeat them. A prime, so that no two rows are alike.</summary>
    private const int Drawn = 4_000_037;

    /// <summary>Normal numbers, each with the chance <paramref name="density"/> of not being zero.</summary>
    public static float[] Normal(int count, double density, ulong seed)
    {
        var random = RandomSource.For(seed, "benchmark");
        var values = new float[count];
        for (int i = 0; i < Math.Min(count, Drawn); i++)
        {
            values[i] = density == 1 || (density > 0 && random.NextDouble() < density) ? (float)random.NextNormal() : 0;
        }

        for (int start = Drawn; start < count; start += Drawn)
        {
            values.AsSpan(0, Math.Min(Drawn, count - start)).CopyTo(values.AsSpan(start));
        }

        return values;
    }

    /// <summary>Token ids as text has them: low ones often, high ones seldom.</summary>
    public static int[] Tokens(int count, int vocabulary, ulong seed)
    {
        var random = RandomSource.For(seed, "benchmark tokens");
        var values = new int[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = Math.Min(random.NextInt(vocabulary), random.NextInt(vocabulary));
        }

        return values;
    }
}
