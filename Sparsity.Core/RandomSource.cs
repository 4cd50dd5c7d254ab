using System.Buffers.Binary;
using System.Numerics;

namespace Sparsity.Core;

/// <summary>
/// The one source of random numbers: xoshiro256** (Blackman and Vigna 2018), seeded by SplitMix64. Its sequence depends on nothing but the
/// seed, on every platform and version, and its state can be saved and restored. Not for secrets. Not safe for several threads at once.
/// </summary>
public sealed class RandomSource
{
    private ulong _a,
        _b,
        _c,
        _d;

    public RandomSource(ulong seed)
    {
        ulong state = seed;
        _a = SplitMix64(ref state);
        _b = SplitMix64(ref state);
        _c = SplitMix64(ref state);
        _d = SplitMix64(ref state);
    }

    /// <summary>A source of its own for one purpose, so that drawing more numbers for one purpose never changes another's.</summary>
    /// <param name="seed">The seed of the whole run.</param>
    /// <param name="purpose">What the numbers are for, such as "initial weights".</param>
    /// <param name="index">Which of several for this purpose, for instance a document's number.</param>
    public static RandomSource For(ulong seed, string purpose, long index = 0)
    {
        ulong hash = 14695981039346656037; // FNV-1a
        foreach (char c in purpose)
        {
            hash = (hash ^ c) * 1099511628211;
        }

        ulong state = seed;
        ulong mixed = SplitMix64(ref state) ^ hash;
        mixed = SplitMix64(ref mixed) ^ (ulong)index;
        return new RandomSource(SplitMix64(ref mixed));
    }

    /// <summary>The next 64 random bits.</summary>
    public ulong NextBits()
    {
        ulong result = BitOperations.RotateLeft(_b * 5, 7) * 9;
        ulong t = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= t;
        _d = BitOperations.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>A whole number from 0 to <paramref name="exclusiveUpper"/> - 1, each equally likely to within 2^-32.</summary>
    public int NextInt(int exclusiveUpper)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(exclusiveUpper);
        return (int)(((NextBits() >> 32) * (ulong)exclusiveUpper) >> 32);
    }

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>True with probability <paramref name="probability"/>.</summary>
    public bool NextBool(double probability = 0.5) => NextDouble() < probability;

    /// <summary>One entry of <paramref name="choices"/>, each equally likely.</summary>
    public T Pick<T>(IReadOnlyList<T> choices) => choices[NextInt(choices.Count)];

    /// <summary>A normally distributed number with mean 0 and standard deviation 1 (Box and Muller, one of the pair).</summary>
    public double NextNormal() => Math.Sqrt(-2 * Math.Log(1 - NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());

    /// <summary>Puts <paramref name="items"/> into random order (Fisher and Yates).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>The state as 32 bytes, for <see cref="Restore"/>.</summary>
    public byte[] Save()
    {
        var bytes = new byte[32];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, _a);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), _b);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), _c);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), _d);
        return bytes;
    }

    /// <summary>A source that goes on where <see cref="Save"/> was called.</summary>
    /// <exception cref="BadInputException">The state is not one that <see cref="Save"/> gives.</exception>
    public static RandomSource Restore(ReadOnlySpan<byte> state)
    {
        if (state.Length != 32 || state.IndexOfAnyExcept((byte)0) < 0)
        {
            throw new BadInputException(
                $"The saved random state has {state.Length} bytes or is all zero; expected 32 bytes. The file is damaged: start from "
                    + $"another checkpoint."
            );
        }

        return new RandomSource(0)
        {
            _a = BinaryPrimitives.ReadUInt64LittleEndian(state),
            _b = BinaryPrimitives.ReadUInt64LittleEndian(state[8..]),
            _c = BinaryPrimitives.ReadUInt64LittleEndian(state[16..]),
            _d = BinaryPrimitives.ReadUInt64LittleEndian(state[24..]),
        };
    }

    private static ulong SplitMix64(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        ulong z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
