using System.Buffers.Binary;
using System.Text;
using Sparsity.Core.Files;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// Metrics as TensorBoard reads them: records of TensorFlow's TFRecord format (length, masked CRC-32C of the length, bytes, masked CRC-32C
/// of the bytes), each a protocol-buffer message Event with one summary. A run that is gone on with gets a file of its own; TensorBoard
/// shows all files of a folder as one curve.
/// </summary>
internal sealed class TensorBoardEvents
{
    private readonly string _path;

    /// <param name="directory">Made if it is not there.</param>
    /// <param name="firstStep">The first step that will be written: it names the file, which is begun anew.</param>
    public TensorBoardEvents(string directory, int firstStep)
    {
        AtomicFile.CreateDirectory(directory);
        _path = Path.Combine(directory, FormattableString.Invariant($"events.out.tfevents.{firstStep:D10}.sparsity"));
        File.WriteAllBytes(_path, Record([.. Double(1, Now), .. Bytes(3, "brain.Event:2"u8)]));
    }

    /// <summary>Appends a line of metrics: a scalar for each of its numbers.</summary>
    public void Add(TrainingMetrics metrics)
    {
        byte[] values =
        [
            .. Scalars(metrics)
                .Where(scalar => scalar.Value is not null)
                .SelectMany(scalar =>
                    Bytes(1, [.. Bytes(1, Encoding.UTF8.GetBytes(scalar.Tag)), .. Single(2, (float)scalar.Value!.Value)])
                ),
        ];
        using var file = new FileStream(_path, FileMode.Append);
        file.Write(Record([.. Double(1, Now), .. Key(2, 0), .. VarInt((ulong)metrics.Step), .. Bytes(5, values)]));
    }

    private static double Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;

    private static IEnumerable<(string Tag, double? Value)> Scalars(TrainingMetrics metrics) =>
        [
            ("loss/training", metrics.Loss),
            ("loss/validation", metrics.ValidationLoss),
            .. (metrics.Terms ?? new Dictionary<string, double>()).Select(term => ($"loss/{term.Key}", (double?)term.Value)),
            ("training/learning_rate", metrics.LearningRate),
            ("training/gradient_rms", metrics.GradientRms),
            ("training/tokens_per_second", metrics.TokensPerSecond),
            ("sparsity/pfrac", metrics.Pfrac),
            ("sparsity/nonzero_fraction", metrics.Statistics?.NonzeroFraction),
            ("sparsity/nonzero", metrics.Statistics?.Nonzero),
            ("sparsity/final_residual_kurtosis", metrics.FinalResidualKurtosis),
        ];

    private static byte[] Record(byte[] data)
    {
        var record = new byte[16 + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), Masked(record.AsSpan(0, 8)));
        data.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), Masked(data));
        return record;
    }

    /// <summary>TFRecord's checksum: so that one of bytes that hold checksums is not degenerate.</summary>
    private static uint Masked(ReadOnlySpan<byte> bytes) => uint.RotateRight(Crc32C.Of(bytes), 15) + 0xa282ead8;

    /// <summary>A field's number, and the kind of what follows: 0 an integer, 1 eight bytes, 2 a length and bytes, 5 four bytes.</summary>
    private static byte[] Key(int field, int kind) => [(byte)((field << 3) | kind)];

    private static byte[] VarInt(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        return [.. bytes, (byte)value];
    }

    private static byte[] Bytes(int field, ReadOnlySpan<byte> value) => [.. Key(field, 2), .. VarInt((ulong)value.Length), .. value];

    private static byte[] Double(int field, double value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        return [.. Key(field, 1), .. bytes];
    }

    private static byte[] Single(int field, float value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        return [.. Key(field, 5), .. bytes];
    }
}
