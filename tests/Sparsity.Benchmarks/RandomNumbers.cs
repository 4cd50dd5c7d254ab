using Sparsity.Core;

namespace Sparsity.Benchmarks;

/// <summary>Inputs of benchmarks: the same for the same seed.</summary>
internal static class RandomNumbers
{
    public static float[] Normal(int count, ulong seed)
    {
        var random = RandomSource.For(seed, "benchmark");
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)random.NextNormal();
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
