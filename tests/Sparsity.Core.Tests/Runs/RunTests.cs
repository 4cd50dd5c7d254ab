using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Runs;

/// <summary>Runs as a program that uses the library makes them.</summary>
public sealed class RunTests : IDisposable
{
    private static readonly TrainingConfig Training = TrainingConfig.Small with
    {
        Density = 0.25,
        TotalTokens = 640,
        BatchSequences = 2,
        ContextTokens = 16,
        LogEvery = 1,
    };

    private readonly TemporaryFolder _folder = new();
    private readonly CpuEngine _engine = new(1);

    public void Dispose()
    {
        _engine.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void ARunThatIsMadeHereIsOpenedAndGoneOnWith()
    {
        DataFolder data = Data();
        ModelConfig shape = Shape(data);
        using var stop = new CancellationTokenSource();
        using (TrainingRun begun = Run.Create(_folder["run"], _engine, data, shape, Training))
        {
            Assert.True(File.Exists(begun.Folder.RunPath)); // before the first step
            Assert.False(begun.Run(metrics => CancelAt(metrics, 7, stop), stop.Token));
        }

        using (TrainingRun resumed = Run.Resume(_folder["run"], _engine))
        {
            Assert.Equal((8, 20), (resumed.NextStep, resumed.LastStep));
            Assert.True(resumed.Run());
        }

        using (TrainingRun whole = Run.Create(_folder["whole"], _engine, data, shape, Training))
        {
            Assert.True(whole.Run());
        }

        Assert.Equal(File.ReadAllBytes(_folder["whole/model.safetensors"]), File.ReadAllBytes(_folder["run/model.safetensors"]));
        using OpenedRun opened = Run.Open(_folder["run"], _engine);
        Assert.Equal(data.Tokenizer.Fingerprint, opened.Tokenizer.Fingerprint);
        Assert.Equal(data.Training.Length, opened.Data.Training.Length);
        Assert.Equal(Training.Resolved(shape), opened.Training);
        Assert.Equal(shape.ToJson(), opened.Model.Config.ToJson());
    }

    [Fact]
    public void ARunBeginsWithAnotherModelsWeights()
    {
        DataFolder data = Data();
        TrainingConfig still = Training with { Density = null, Lr = 0, TotalTokens = 32 };
        using (TrainingRun first = Run.Create(_folder["first"], _engine, data, Shape(data), still))
        {
            first.Run();
        }

        using (var initial = StoredModel.Open(_folder["first"]))
        using (TrainingRun second = Run.Create(_folder["second"], _engine, data, Shape(data), still with { Seed = 2 }, initial))
        {
            second.Run();
        }

        using OpenedRun one = Run.Open(_folder["first"], _engine),
            two = Run.Open(_folder["second"], _engine);
        Assert.Equal(one.Model.Parameters.Fingerprint(), two.Model.Parameters.Fingerprint());
    }

    [Fact]
    public void AFolderOfARunThatWasKilledBeforeItBeganIsTaken()
    {
        DataFolder data = Data();
        Directory.CreateDirectory(_folder["run/tokenizer"]);
        File.WriteAllText(_folder["run/config.json"], "{}");
        // Without a lock it may be anybody's.
        Assert.Throws<BadInputException>(() => Run.Create(_folder["run"], _engine, data, Shape(data), Training));
        File.WriteAllText(_folder["run/.lock"], "");
        File.WriteAllText(_folder["run/notes.txt"], "mine");
        Assert.Throws<BadInputException>(() => Run.Create(_folder["run"], _engine, data, Shape(data), Training));
        File.Delete(_folder["run/notes.txt"]);

        using TrainingRun run = Run.Create(_folder["run"], _engine, data, Shape(data), Training);

        Assert.True(run.Run());
    }

    [Fact]
    public void ThereIsNothingOfARunThatCannotBegin()
    {
        DataFolder data = Data();
        Assert.Throws<BadInputException>(() =>
            Run.Create(_folder["run"], _engine, data, Shape(data), Training with { ContextTokens = 1_000_000 })
        );
        Assert.Throws<BadInputException>(() =>
            Run.Create(
                _folder["run"],
                _engine,
                data,
                Shape(data) with
                {
                    BlockSize = 1 << 20,
                },
                Training with
                {
                    ContextTokens = 1 << 20,
                    TotalTokens = 1L << 30,
                }
            )
        );

        Assert.False(Directory.Exists(_folder["run"]));
        Assert.Throws<BadInputException>(() => Run.Resume(_folder["run"], _engine));
        Assert.Throws<BadInputException>(() => Run.Open(_folder["run"], _engine));
    }

    private static ModelConfig Shape(DataFolder data) =>
        ModelConfig.Small(data.Tokenizer.VocabularySize) with
        {
            DModel = 32,
            DMlpField = 64,
            NHead = 2,
            BlockSize = 16,
        };

    private static void CancelAt(TrainingMetrics metrics, int step, CancellationTokenSource stop)
    {
        if (metrics.Step == step)
        {
            stop.Cancel();
        }
    }

    private DataFolder Data()
    {
        CorpusFolder.Write(_folder["data"], SyntheticPython.Documents(1, 40_000), CorpusInfo.Of("synthetic", 1));
        return DataFolder.Tokenize(_folder["data"], null, 300);
    }
}
