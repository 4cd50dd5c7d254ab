using Sparsity.Core.Bridges;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>Runs of bridge training: resumed, compared with ordinary training, and their files.</summary>
public sealed class BridgeRunTests : IDisposable
{
    private static readonly ModelConfig Dense = TinyModels.Config with { Afrac = null, DModel = 24, DMlpField = 48 };
    private static readonly BridgeConfig Config = new() { KlSparseWeight = 0.5 };

    private readonly TemporaryFolder _folder = new();
    private readonly ushort[] _training = TinyModels.Tokens(4000, 1);
    private readonly ushort[] _validation = TinyModels.Tokens(400, 2);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AResumedRunEqualsOneNeverStopped()
    {
        RunFolder whole = RunFolder.Create(_folder["whole"]);
        Assert.True(Train(whole, threads: 2));
        RunFolder parts = RunFolder.Create(_folder["parts"]);
        using (var stop = new CancellationTokenSource())
        {
            Assert.False(Train(parts, threads: 1, metrics => StopAt(17, metrics, stop), stop.Token));
        }

        Assert.True(Train(parts, threads: 3, resume: true));
        Assert.Equal(File.ReadAllBytes(whole.ModelPath), File.ReadAllBytes(parts.ModelPath));
        Assert.Equal(File.ReadAllBytes(whole.StatePath), File.ReadAllBytes(parts.StatePath));
        Assert.Equal(
            File.ReadAllBytes(new BridgeFolder(whole.Directory).BridgesPath),
            File.ReadAllBytes(new BridgeFolder(parts.Directory).BridgesPath)
        );
    }

    [Fact]
    public void TheSparseModelMeetsItsTargetAndTheBridgesLearn()
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        var lines = new List<TrainingMetrics>();
        Train(folder, threads: 2, lines.Add, config: Config with { Start = BridgeStart.Random });
        using var engine = new CpuEngine(1);
        using ModelParameters sparse = folder.ReadModel(engine);
        foreach (Parameter parameter in sparse.All.Where(parameter => parameter.Spec.AliveAxis is not null))
        {
            Assert.Equal((int)(0.25 * parameter.Spec.Length), engine.CountNonzero(parameter.Value));
        }

        // At the last step the rate is 0. The sparse residuals move away from what the encoders see while weights are taken away, so their
        // error is not among these.
        foreach (string term in new[] { "nmse_sparse_to_dense", "kl_dense_to_sparse", "kl_sparse_to_dense" })
        {
            Assert.True(
                lines[^1].Terms![term] < 0.9 * lines[0].Terms![term],
                $"{term}: {lines[0].Terms![term]} to {lines[^1].Terms![term]}"
            );
        }
    }

    [Fact]
    public void WithoutBridgeTermsTheSparseModelTrainsAsByItself()
    {
        using var engine = new CpuEngine(1);
        using ModelParameters dense = TinyModels.Random(engine, Dense, 5);
        var alone = new BridgeConfig
        {
            NmseWeight = 0,
            KlDenseToSparseWeight = 0,
            KlSparseToDenseWeight = 0,
        };
        using var coupled = new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, alone);
        using var plain = new Trainer(engine, TinyModels.Config, TinyModels.Training);
        coupled.Initialise();
        plain.Initialise();
        var source = new BatchSource(_training, TinyModels.Training.BatchSequences, TinyModels.Training.ContextTokens);
        for (int step = 0; step < 20; step++)
        {
            coupled.Step(step, source.Random(1, step));
            plain.Step(step, source.Random(1, step));
        }

        Assert.Equal(plain.Parameters.Fingerprint(), coupled.Parameters.Fingerprint());
    }

    [Fact]
    public void BridgesOfOtherModelsAreRefused()
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        Train(folder, threads: 2);
        using var engine = new CpuEngine(1);
        using ModelParameters sparse = folder.ReadModel(engine);
        using ModelParameters dense = TinyModels.Random(engine, Dense, 5);
        using ModelParameters otherDense = TinyModels.Random(engine, Dense, 6);
        using ModelParameters otherSparse = TinyModels.Random(engine, TinyModels.Config, 7);
        var files = new BridgeFolder(folder.Directory);
        files.ReadBridges(dense, sparse, Config).Dispose();
        Assert.Contains("another dense model", Refused(() => files.ReadBridges(otherDense, sparse, Config)), StringComparison.Ordinal);
        Assert.Contains("another sparse model", Refused(() => files.ReadBridges(dense, otherSparse, Config)), StringComparison.Ordinal);
        Assert.Contains(
            "final_resid",
            Refused(() => files.ReadBridges(dense, sparse, Config with { FinalLocation = true })),
            StringComparison.Ordinal
        );
        File.Delete(files.BridgesPath);
        Assert.Contains("bridges.safetensors", Refused(() => files.ReadBridges(dense, sparse, Config)), StringComparison.Ordinal);
    }

    [Fact]
    public void ModelsThatDoNotMatchAreRefused()
    {
        using var engine = new CpuEngine(1);
        Assert.Contains(
            "layers",
            Refused(() => new BridgePairs(engine, Dense with { NLayer = 3 }, TinyModels.Config, Config, false)),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "vocabulary",
            Refused(() => new BridgePairs(engine, Dense with { VocabSize = 30 }, TinyModels.Config, Config, false)),
            StringComparison.Ordinal
        );
        using ModelParameters dense = TinyModels.Random(engine, Dense with { BlockSize = 11 }, 5);
        Assert.Contains(
            "context_tokens",
            Refused(() => new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, Config)),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void ASparseModelIsNoDenseOne()
    {
        using var engine = new CpuEngine(1);
        using var trainer = new Trainer(engine, TinyModels.Config, TinyModels.Training with { PfracAnneal = false });
        trainer.Initialise();
        Assert.Contains("no dense model", Refused(() => BridgeFolder.RequireDense(trainer.Parameters, "here")), StringComparison.Ordinal);
        using ModelParameters dense = TinyModels.Random(engine, Dense, 5);
        BridgeFolder.RequireDense(dense, "here");
    }

    [Theory]
    [InlineData("nmse_weight", -1, 0.25, 1e-3)]
    [InlineData("encoder_fraction", 1, 0.0, 1e-3)]
    [InlineData("lr", 1, 0.25, double.NaN)]
    public void SettingsOutOfRangeAreRefusedByName(string field, double weight, double fraction, double lr) =>
        Assert.Contains(
            field,
            Refused(() =>
                new BridgeConfig
                {
                    NmseWeight = weight,
                    EncoderFraction = fraction,
                    Lr = lr,
                }.Validated()
            ),
            StringComparison.Ordinal
        );

    private static string Refused(Action action) => Assert.Throws<BadInputException>(action).Message;

    private static string Refused(Func<object> action) => Assert.Throws<BadInputException>(action).Message;

    private static void StopAt(int step, TrainingMetrics metrics, CancellationTokenSource stop)
    {
        if (metrics.Step == step)
        {
            stop.Cancel();
        }
    }

    private bool Train(
        RunFolder folder,
        int threads,
        Action<TrainingMetrics>? onMetrics = null,
        CancellationToken stop = default,
        bool resume = false,
        BridgeConfig? config = null
    )
    {
        using var engine = new CpuEngine(threads);
        using ModelParameters dense = TinyModels.Random(engine, Dense, 5);
        var trainer = new BridgeTrainer(
            new Transformer(dense),
            TinyModels.Config,
            TinyModels.Training,
            (config ?? Config) with
            {
                Lr = 0.05,
            }
        );
        using var run = new TrainingRun(trainer, folder, _training, _validation, resume);
        return run.Run(onMetrics, stop);
    }
}
