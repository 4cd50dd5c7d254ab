using System.Buffers.Binary;
using System.Text;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Runs;

public class TensorBoardEventsTests
{
    /// <summary>
    /// The first 12 bytes are those that every event file of TensorFlow and PyTorch begins with: the version record's length and its
    /// checksum.
    /// </summary>
    [Fact]
    public void AFileBeginsAsTensorFlowsOwn()
    {
        using var folder = new TemporaryFolder();
        _ = new TensorBoardEvents(folder.Path, 0);

        byte[] bytes = File.ReadAllBytes(Path.Combine(folder.Path, "events.out.tfevents.0000000000.sparsity"));

        Assert.Equal([0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09], bytes[..13]);
        Assert.Equal("brain.Event:2", Encoding.ASCII.GetString(bytes, 23, 13));
    }

    [Fact]
    public void EveryNumberIsAScalarOfItsStep()
    {
        using var folder = new TemporaryFolder();
        var events = new TensorBoardEvents(folder.Path, 300);
        events.Add(Metrics(300) with { ValidationLoss = 2.25, Statistics = new ModelStatistics(70, 60, 0.5, [3]) });
        events.Add(Metrics(1_000_000) with { Terms = new Dictionary<string, double> { ["kl"] = 0.125 } });

        byte[] bytes = File.ReadAllBytes(Path.Combine(folder.Path, "events.out.tfevents.0000000300.sparsity"));
        List<(long Step, Dictionary<string, float> Scalars)> read = [.. Events(bytes).Skip(1)];

        Assert.Equal([300, 1_000_000], read.Select(line => line.Step));
        Assert.Equal(
            new Dictionary<string, float>
            {
                ["loss/training"] = 1.5f,
                ["loss/validation"] = 2.25f,
                ["training/learning_rate"] = 0.25f,
                ["training/gradient_rms"] = 0.75f,
                ["training/tokens_per_second"] = 1000,
                ["sparsity/nonzero_fraction"] = 0.5f,
                ["sparsity/nonzero"] = 70,
            },
            read[0].Scalars
        );
        Assert.Equal(0.125f, read[1].Scalars["loss/kl"]);
    }

    private static TrainingMetrics Metrics(int step) =>
        new()
        {
            Step = step,
            Tokens = 64,
            Loss = 1.5,
            LearningRate = 0.25,
            GradientRms = 0.75,
            TokensPerSecond = 1000,
        };

    /// <summary>Records, their lengths held against the file's, and the fields of each message by number.</summary>
    private static IEnumerable<(long Step, Dictionary<string, float> Scalars)> Events(byte[] bytes)
    {
        int at = 0;
        while (at < bytes.Length)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            ILookup<int, object> message = Fields(bytes.AsSpan(at + 12, length)).ToLookup(field => field.Number, field => field.Value);
            yield return (
                message[2].Select(value => (long)(ulong)value).FirstOrDefault(),
                message[5]
                    .SelectMany(summary => Fields((byte[])summary))
                    .Select(value => Fields((byte[])value.Value).ToDictionary(field => field.Number, field => field.Value))
                    .ToDictionary(value => Encoding.UTF8.GetString((byte[])value[1]), value => (float)value[2])
            );
            at += 16 + length;
        }

        Assert.Equal(bytes.Length, at);
    }

    private static List<(int Number, object Value)> Fields(ReadOnlySpan<byte> message)
    {
        var fields = new List<(int, object)>();
        int at = 0;
        while (at < message.Length)
        {
            ulong key = VarInt(message, ref at);
            object value;
            switch (key & 7)
            {
                case 0:
                    value = VarInt(message, ref at);
                    break;
                case 1:
                    value = BinaryPrimitives.ReadDoubleLittleEndian(message[at..]);
                    at += 8;
                    break;
                case 2:
                    int length = (int)VarInt(message, ref at);
                    value = message.Slice(at, length).ToArray();
                    at += length;
                    break;
                case 5:
                    value = BinaryPrimitives.ReadSingleLittleEndian(message[at..]);
                    at += 4;
                    break;
                default:
                    throw new InvalidDataException($"kind {key & 7}");
            }

            fields.Add(((int)(key >> 3), value));
        }

        return fields;
    }

    private static ulong VarInt(ReadOnlySpan<byte> message, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[at++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }
}
