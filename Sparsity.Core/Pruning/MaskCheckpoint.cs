using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Pruning;

/// <summary>A mask as training left it.</summary>
/// <param name="KCoef">Penalty per kept node.</param>
/// <param name="Tau">One per node.</param>
internal sealed record TrainedMask(double KCoef, double[] Tau)
{
    /// <summary>Nodes with tau >= 0.</summary>
    public int Kept => Tau.Count(tau => tau >= 0);
}

/// <summary>
/// mask_state.json: where the mask training of one circuit search stands, so that an interrupted one goes on bit for bit.
/// </summary>
internal sealed class MaskCheckpoint
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(20);

    private readonly string _path;
    private readonly string _search;
    private readonly Content? _stored;
    private long _written = Stopwatch.GetTimestamp();

    /// <param name="path">The file; need not exist.</param>
    /// <param name="search">What is being searched, in one text: a file of another search is refused.</param>
    /// <exception cref="BadInputException">The file is damaged or of another search.</exception>
    public MaskCheckpoint(string path, string search)
    {
        _path = path;
        _search = search;
        if (File.Exists(path))
        {
            _stored = JsonText.ReadFile<Content>(path);
            if (_stored.Checksum is { } written && _stored.WithChecksum().Checksum != written)
            {
                throw new BadInputException(
                    $"{path}: is damaged: its checksum is not the one that was written. Remove it to start this search again."
                );
            }

            if (_stored.Search != search)
            {
                throw new BadInputException(
                    $"{path}: is of another search ({_stored.Search}, not {search}). Remove it, or choose another output folder."
                );
            }
        }
    }

    /// <summary>The masks that are done.</summary>
    /// <param name="nodes">Of the model.</param>
    /// <param name="kCoef">Penalties, in the order in which they are tried.</param>
    /// <exception cref="BadInputException">The masks are not of this model and these penalties.</exception>
    public IReadOnlyList<TrainedMask> Finished(int nodes, IReadOnlyList<double> kCoef)
    {
        TrainedMask[] finished = [.. _stored?.Finished.Select(mask => new TrainedMask(mask.KCoef, FromBytes(mask.Tau))) ?? []];
        return
            finished.Length <= kCoef.Count
            && finished.Zip(kCoef).All(pair => pair.First.KCoef == pair.Second && IsMask(pair.First.Tau, nodes))
            ? finished
            : throw DoesNotFit();
    }

    /// <summary>Gives <paramref name="mask"/> the stored state if it is the one that was interrupted.</summary>
    /// <returns>The step to do next.</returns>
    /// <exception cref="BadInputException">The state does not fit the model.</exception>
    public int Restore(MaskTraining mask)
    {
        if (_stored?.Current is not { } current || current.KCoef != mask.KCoef)
        {
            return 0;
        }

        double[][] state = [.. current.State.Select(FromBytes)];
        if (
            state.Length != mask.State.Count
            || current.Step < 0
            || !state.All(array => array.Length == mask.Tau.Length && array.All(double.IsFinite))
            || !IsMask(state[0], mask.Tau.Length)
        )
        {
            throw DoesNotFit();
        }

        for (int i = 0; i < mask.State.Count; i++)
        {
            state[i].CopyTo(mask.State[i], 0);
        }

        return current.Step;
    }

    private static bool IsMask(double[] tau, int nodes) => tau.Length == nodes && tau.All(value => value is >= -1 and <= 1);

    private BadInputException DoesNotFit() => new($"{_path}: does not fit the model. Remove it to start this search again.");

    internal void Write(IReadOnlyList<TrainedMask> finished, MaskTraining? mask = null, int step = 0)
    {
        AtomicFile.WriteText(
            _path,
            JsonText.Write(
                new Content(
                    _search,
                    [.. finished.Select(entry => new StoredMask(entry.KCoef, ToBytes(entry.Tau)))],
                    mask is null ? null : new StoredTraining(mask.KCoef, step, [.. mask.State.Select(ToBytes)])
                ).WithChecksum()
            )
        );
        _written = Stopwatch.GetTimestamp();
    }

    internal void WriteNowAndThen(IReadOnlyList<TrainedMask> finished, MaskTraining mask, int step)
    {
        if (Stopwatch.GetElapsedTime(_written) > Interval)
        {
            Write(finished, mask, step);
        }
    }

    private static byte[] ToBytes(double[] values) => MemoryMarshal.AsBytes<double>(values).ToArray();

    private static double[] FromBytes(byte[] bytes) => MemoryMarshal.Cast<byte, double>(bytes).ToArray();

    /// <summary>Numbers as the bytes of doubles, little-endian, in base 64: decimal text would be three times as long.</summary>
    private sealed record Content(string Search, IReadOnlyList<StoredMask> Finished, StoredTraining? Current)
    {
        public int FormatVersion { get; init; } = FileFormat.Version;

        /// <summary><see cref="Crc32C"/> of this file's text without it.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Checksum { get; init; }

        public Content WithChecksum() =>
            this with
            {
                Checksum = $"{Crc32C.Of(Encoding.UTF8.GetBytes(JsonText.Write(this with { Checksum = null }))):x8}",
            };
    }

    private sealed record StoredMask(double KCoef, byte[] Tau);

    private sealed record StoredTraining(double KCoef, int Step, IReadOnlyList<byte[]> State);
}
