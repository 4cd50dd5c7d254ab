using Sparsity.Core.Bridges;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Distributed;

/// <summary>Training in several ranks against training in one, with threads for ranks; tests of category Mpi do it with processes.</summary>
public sealed class DataParallelTests : IDisposable
{
    /// <summary>61 steps of 8 sequences to a quarter of the weights.</summary>
    private static readonly TrainingConfig Training = TinyModels.Training with { BatchSequences = 8, TotalTokens = 60 * 8 * 12, CheckpointEvery = 20, EvaluateEvery = 20 };

    private static readonly ModelConfig Dense = TinyModels.Config with { Afrac = null, DModel = 24, DMlpField = 48 };

    private readonly TemporaryFolder _folder = new();
    private readonly ushort[] _training = TinyModels.Tokens(4000, 1);
    private readonly ushort[] _validation = TinyModels.Tokens(400, 2);
    private int _runs;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 8)]
    [InlineData(1, 2)]
    [InlineData(2, null)]
    [InlineData(2, 4)]
    [InlineData(4, null)]
    public void RanksAndPartsOfABatchGiveTheLossesOfOneProcess(int ranks, int? parts)
    {
        IReadOnlyList<TrainingMetrics> one = Train(1, Training).Metrics;
        IReadOnlyList<TrainingMetrics> several = Train(ranks, Training with { BatchParts = parts }).Metrics;
        RequireEqualLosses(one, several);
        Assert.Equal(ranks > 1, several[0].ExchangeShare is not null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheSamePartsGiveTheSameBitsOnAnyNumberOfRanks(bool withBridges)
    {
        TrainingConfig inParts = Training with { BatchParts = 4 };
        BridgeConfig? bridges = withBridges ? new BridgeConfig { KlSparseWeight = 0.5 } : null;
        var one = Train(1, inParts, bridges: bridges);
        foreach (int ranks in new[] { 2, 4 })
        {
            var several = Train(ranks, inParts, bridges: bridges, threads: 3 - (ranks / 2));
            Assert.Equal(File.ReadAllBytes(one.Folder.StatePath), File.ReadAllBytes(several.Folder.StatePath));
            Assert.Equal(one.Metrics.Select(WithoutTimes), several.Metrics.Select(WithoutTimes));
        }

        static string WithoutTimes(TrainingMetrics line) => JsonText.WriteLine(line with { TokensPerSecond = 0, ExchangeShare = null });
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, null)]
    [InlineData(4, 8)]
    public void BridgesTrainTheSame(int ranks, int? parts)
    {
        // Without top-k anywhere: in two coupled models, whatever a last bit makes it choose grows to any size within 60 steps.
        TrainingConfig bridges = Training with { EvaluateEvery = 60, Pfrac = null, Lr = 0.01 };
        ModelConfig smooth = TinyModels.Config with { Afrac = null };
        var config = new BridgeConfig { KlSparseWeight = 0.5, EncoderFraction = null };
        IReadOnlyList<TrainingMetrics> one = Train(1, bridges, smooth, config).Metrics;
        IReadOnlyList<TrainingMetrics> several = Train(ranks, bridges with { BatchParts = parts }, smooth, config).Metrics;
        RequireEqualLosses(one, several);
        foreach (string term in one[0].Terms!.Keys)
        {
            Comparison.Close([.. one.Select(line => line.Terms![term])], [.. several.Select(line => (float)line.Terms![term])], 1e-5, term);
        }
    }

    private static void RequireEqualLosses(IReadOnlyList<TrainingMetrics> one, IReadOnlyList<TrainingMetrics> several)
    {
        Assert.Equal(61, one.Count);
        Assert.Equal(one.Select(line => line.Step), several.Select(line => line.Step));
        Comparison.Close([.. one.Select(line => line.Loss!.Value)], [.. several.Select(line => (float)line.Loss!.Value)], 1e-5, "loss of each step");
        Comparison.Close([.. Validation(one)], [.. Validation(several).Select(loss => (float)loss)], 1e-5, "validation losses");
        Assert.True(one[^1].Loss < one[0].Loss, "trained");

        static IEnumerable<double> Validation(IEnumerable<TrainingMetrics> lines) => lines.Select(line => line.ValidationLoss).OfType<double>();
    }

    private (RunFolder Folder, IReadOnlyList<TrainingMetrics> Metrics) Train(
        int ranks, TrainingConfig training, ModelConfig? model = null, BridgeConfig? bridges = null, int threads = 1)
    {
        var folder = RunFolder.Create(_folder[$"run {_runs++}"]);
        List<TrainingMetrics>[] metrics = ThreadGroup.Run(ranks, group =>
        {
            using var engine = new CpuEngine(threads);
            using var dense = new ModelParameters(engine, Dense);
            dense.Initialise(5);
            Trainer trainer = bridges is not null
                ? new BridgeTrainer(new Transformer(dense), model ?? TinyModels.Config, training, bridges, group: group)
                : new Trainer(engine, model ?? TinyModels.Config, training, group);
            var lines = new List<TrainingMetrics>();
            using var run = new TrainingRun(trainer, folder, _training, _validation);
            Assert.True(run.Run(lines.Add));
            return lines;
        });
        Assert.All(metrics.Skip(1), Assert.Empty);
        return (folder, metrics[0]);
    }
}
