using System.Numerics;
using System.Runtime.InteropServices;

namespace Sparsity.Core.Files;

/// <summary>
/// The checksum CRC-32C (Castagnoli, RFC 3720), for which processors have an instruction: it sees every burst of damage up to 32 bits, and
/// misses others once in 2^32.
/// </summary>
internal static class Crc32C
{
    /// <param name="before">The checksum of what comes before, where the bytes come in parts.</param>
    public static uint Of(ReadOnlySpan<byte> bytes, uint before = 0)
    {
        uint crc = ~before;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte value in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }
}
