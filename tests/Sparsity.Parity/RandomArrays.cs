using Sparsity.Core;

namespace Sparsity.Parity;

/// <summary>
/// Random inputs: normally distributed, rounded to float32 and held as double, so that engines and references in double get the same
/// numbers.
/// </summary>
internal sealed class RandomArrays(ulong seed)
{
    private readonly RandomSource _random = new(seed);

    public double[,,] Activations(int sequences, int tokens, int channels) => Fill(new double[sequences, tokens, channels], 1);

    /// <summary>[rows, columns] of which each entry is nonzero with probability <paramref name="density"/>.</summary>
    public double[,] Matrix(int rows, int columns, double density = 1) => Fill(new double[rows, columns], density);

    public double[] Vector(int length) => Fill(new double[length], 1);

    /// <summary>[sequences, tokens] ids from 0 to <paramref name="exclusiveUpper"/> - 1.</summary>
    public int[,] Tokens(int sequences, int tokens, int exclusiveUpper)
    {
        var ids = new int[sequences, tokens];
        for (int b = 0; b < sequences; b++)
        {
            for (int t = 0; t < tokens; t++)
            {
                ids[b, t] = _random.NextInt(exclusiveUpper);
            }
        }

        return ids;
    }

    /// <summary>[sequences, count] positions below <paramref name="tokens"/>, no two of a sequence the same.</summary>
    public int[,] Positions(int sequences, int count, int tokens)
    {
        var positions = new int[sequences, count];
        for (int b = 0; b < sequences; b++)
        {
            int[] all = [.. Enumerable.Range(0, tokens)];
            _random.Shuffle<int>(all);
            for (int i = 0; i < count; i++)
            {
                positions[b, i] = all[i];
            }
        }

        return positions;
    }

    public int Integer(int exclusiveUpper) => _random.NextInt(exclusiveUpper);

    private T Fill<T>(T array, double density)
        where T : class
    {
        foreach (ref double value in Flat.Of((Array)(object)array))
        {
            value = density >= 1 || _random.NextBool(density) ? (float)_random.NextNormal() : 0;
        }

        return array;
    }
}
