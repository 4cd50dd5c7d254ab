using Sparsity.Core.Bridges;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Distributed;

/// <summary>
/// Training in several ranks against training in one, with threads for ranks; tests of category Mpi do it with processes.
/// </summary>
public sealed class DataParallelTests : IDisposable
{
    /// <summary>61 steps of 8 sequences to a quarter of the weights.</summary>
    private static readonly TrainingConfig Training = TinyModels.Training with
    {
        BatchSequences = 8,
        TotalTokens = 60 * 8 * 12,
        CheckpointEvery = 20,
        EvaluateEvery = 20,
    };

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
        TrainingConfig bridges = Training with
        {
            EvaluateEvery = 60,
            Pfrac = null,
            Lr = 0.01,
        };
        ModelConfig smooth = TinyModels.Config with { Afrac = null };
        var config = new BridgeConfig
        {
            KlSparseWeight = 0.5,
            EncoderFraction = null,
            Start = BridgeStart.Random,
        };
        IReadOnlyList<TrainingMetrics> one = Train(1, bridges, smooth, config).Metrics;
        IReadOnlyList<TrainingMetrics> several = Train(ranks, bridges with { BatchParts = parts }, smooth, config).Metrics;
        RequireEqualLosses(one, several);
        foreach (string term in one[0].Terms!.Keys)
        {
            Comparison.Close([.. one.Select(line => line.Terms![term])], [.. several.Select(line => (float)line.Terms![term])], 1e-5, term);
        }
    }

    [Fact]
    public void BridgesThatBeginWithLeastSquaresBeginTheSame()
    {
        // The fit multiplies the rounding of its sums, which have another order in parts: it agrees to fewer digits than a step does.
        TrainingConfig bridges = Training with
        {
            EvaluateEvery = 60,
            Pfrac = null,
            Lr = 0.01,
        };
        ModelConfig smooth = TinyModels.Config with { Afrac = null };
        var config = new BridgeConfig { EncoderFraction = null };
        double one = Train(1, bridges, smooth, config).Metrics[0].Loss!.Value;
        double random = Train(1, bridges, smooth, config with { Start = BridgeStart.Random }).Metrics[0].Loss!.Value;
        double several = Train(4, bridges with { BatchParts = 8 }, smooth, config).Metrics[0].Loss!.Value;
        Assert.Equal(one, several, 1e-4);
        Assert.True(Math.Abs(one - random) > 1, $"Random bridges begin at {random}, fitted ones at {one}: the start is not seen here.");
    }

    [Fact]
    public void AWeightThatIsNoLongerTheSameStopsAllRanksAndIsNamed()
    {
        string name = ParameterNames.Layer(1) + "mlp.c_proj.weight";
        string[] messages = ThreadGroup.Run(
            3,
            group =>
            {
                using var engine = new CpuEngine(1);
                using var trainer = new Trainer(engine, TinyModels.Config, TinyModels.Training, group);
                trainer.Initialise();
                trainer.RequireSameWeights(4);
                if (group!.Rank == 2)
                {
                    float[] values = trainer.Parameters.Read(name);
                    values[^1] = MathF.BitIncrement(values[^1]);
                    engine.Write(trainer.Parameters[name].Value, values);
                }

                return Assert.Throws<NumericalException>(() => trainer.RequireSameWeights(5)).Message;
            }
        );
        Assert.Single(messages.Distinct());
        Assert.Contains($"step 5: {name} of rank 2 is no longer the same as rank 0's", messages[0], StringComparison.Ordinal);
    }

    [Fact]
    public void ANumberOfOneRankThatIsNotFiniteIsSkippedByAll()
    {
        ThreadGroup.Run(
            2,
            group =>
            {
                using var engine = new CpuEngine(1);
                using var trainer = new Trainer(engine, TinyModels.Config, Training, group);
                trainer.Initialise();
                string before = trainer.Parameters.Fingerprint();
                string name = ParameterNames.FinalNorm + ".weight";
                float[] good = trainer.Parameters.Read(name);
                if (group!.Rank == 1)
                {
                    engine.Write(trainer.Parameters[name].Value, [.. good.Select((value, i) => i == 0 ? float.NaN : value)]);
                }

                var source = new BatchSource(_training, Training.BatchSequences, Training.ContextTokens);
                int[] batch = source.Random(1, 0).ToArray();
                Assert.Throws<NumericalException>(() => trainer.Step(0, batch));
                trainer.DiscardGradients();
                engine.Write(trainer.Parameters[name].Value, good);
                Assert.Equal(before, trainer.Parameters.Fingerprint());
                for (int step = 1; step < 4; step++)
                {
                    Assert.True(double.IsFinite(trainer.Step(step, batch).Loss));
                }

                trainer.RequireSameWeights(3);
                return 0;
            }
        );
    }

    [Fact]
    public void OneRankThatIsAskedToStopStopsAllAtTheSameStep()
    {
        var folder = RunFolder.Create(_folder["stopped"]);
        int[] next = ThreadGroup.Run(
            2,
            group =>
            {
                using var engine = new CpuEngine(1);
                using var stop = new CancellationTokenSource();
                using var run = new TrainingRun(new Trainer(engine, TinyModels.Config, Training, group), folder, _training, _validation);
                Assert.False(run.Run(StopAtStepFive, stop.Token));
                return run.NextStep;

                void StopAtStepFive(TrainingMetrics metrics)
                {
                    if (group?.Rank == 0 && metrics.Step == 5)
                    {
                        stop.Cancel();
                    }
                }
            }
        );
        Assert.Equal(next[0], next[1]);
        Assert.InRange(next[0], 6, 60);
    }

    [Theory]
    [InlineData(3, null, "batch_sequences is 8, but must be a multiple of the number of its parts, 3")]
    [InlineData(2, 1, "batch_parts is 1, but must be a multiple of the number of processes, 2")]
    public void ABatchThatCannotBeDividedIsRefused(int ranks, int? parts, string sentence)
    {
        string[] messages = ThreadGroup.Run(
            ranks,
            group => Assert.Throws<BadInputException>(() => new BatchShare(Training with { BatchParts = parts }, group)).Message
        );
        Assert.All(messages, message => Assert.Contains(sentence, message, StringComparison.Ordinal));
    }

    [Fact]
    public void RanksStartedWithOtherSettingsOrDataAreRefused()
    {
        Assert.Contains(
            "Rank 1 has settings",
            Refusal(rank => Training with { Lr = 0.1 + (0.01 * rank) }, _ => _training),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Rank 1 has training data",
            Refusal(_ => Training, rank => TinyModels.Tokens(4000, 1 + (ulong)rank)),
            StringComparison.Ordinal
        );

        string Refusal(Func<int, TrainingConfig> training, Func<int, ushort[]> tokens) =>
            ThreadGroup.Run(
                2,
                group =>
                {
                    using var engine = new CpuEngine(1);
                    using var trainer = new Trainer(engine, TinyModels.Config, training(group!.Rank), group);
                    return Assert
                        .Throws<BadInputException>(() =>
                            new TrainingRun(trainer, new RunFolder(_folder["refused"]), tokens(group.Rank), _validation)
                        )
                        .Message;
                }
            )[0];
    }

    private static void RequireEqualLosses(IReadOnlyList<TrainingMetrics> one, IReadOnlyList<TrainingMetrics> several)
    {
        Assert.Equal(61, one.Count);
        Assert.Equal(one.Select(line => line.Step), several.Select(line => line.Step));
        Comparison.Close(
            [.. one.Select(line => line.Loss!.Value)],
            [.. several.Select(line => (float)line.Loss!.Value)],
            1e-5,
            "loss of each step"
        );
        Comparison.Close([.. Validation(one)], [.. Validation(several).Select(loss => (float)loss)], 1e-5, "validation losses");
        Assert.True(one[^1].Loss < one[0].Loss, "trained");

        static IEnumerable<double> Validation(IEnumerable<TrainingMetrics> lines) =>
            lines.Select(line => line.ValidationLoss).OfType<double>();
    }

    private (RunFolder Folder, IReadOnlyList<TrainingMetrics> Metrics) Train(
        int ranks,
        TrainingConfig training,
        ModelConfig? model = null,
        BridgeConfig? bridges = null,
        int threads = 1
    )
    {
        var folder = RunFolder.Create(_folder[$"run {_runs++}"]);
        List<TrainingMetrics>[] metrics = ThreadGroup.Run(
            ranks,
            group =>
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
            }
        );
        Assert.All(metrics.Skip(1), Assert.Empty);
        return (folder, metrics[0]);
    }
}
