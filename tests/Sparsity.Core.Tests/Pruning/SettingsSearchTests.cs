using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>The search for settings, on the trained model in tests/assets, with prunings too short to be good.</summary>
public sealed class SettingsSearchTests : IDisposable
{
    private static readonly PruningConfig Centre = new()
    {
        Steps = 15,
        KCoef = [1e-3, 3e-3],
        SelectionPairs = 8,
        TestPairs = 8,
        MeanBatches = 1,
        TargetLoss = 0.6,
    };

    private static readonly PromptTask Task = TaskCatalogue.Find("for_while");

    private readonly CpuEngine[] _engines = [new(1), new(1)];
    private readonly ModelParameters[] _parameters;
    private readonly PruningSubject[] _subjects;
    private readonly TemporaryFolder _folder = new();

    public SettingsSearchTests()
    {
        _parameters = [.. _engines.Select(engine => new RunFolder(CircuitSnapshotTests.Folder).ReadModel(engine))];
        _subjects = [.. _parameters.Select(CircuitSnapshotTests.Subject)];
    }

    public void Dispose()
    {
        Array.ForEach(_parameters, parameters => parameters.Dispose());
        Array.ForEach(_engines, engine => engine.Dispose());
        _folder.Dispose();
    }

    [Fact]
    public void TheFirstTrialsAreWhatPruningWithoutASearchChoosesAmong()
    {
        IReadOnlyList<SearchTrial> trials = SettingsSearch.Run(_subjects, Task, Centre, 4, _folder["search.jsonl"]);

        using TaskPruning pruning = TaskPruning.Create(_subjects[0], Task, Centre);
        using var search = new CircuitSearch(pruning.Evaluator);
        IReadOnlyList<TrainedMask> masks = search.TrainMasks(pruning.Prompts.Training);
        for (int i = 0; i < 2; i++)
        {
            ChosenNodes alone = search.Choose([masks[i]], pruning.Prompts.Selection, Centre.TargetLoss);
            Assert.Equal(
                (Centre.KCoef[i], Centre.Lr, Centre.Beta2, Centre.InitialBias),
                (trials[i].KCoef, trials[i].Lr, trials[i].Beta2, trials[i].InitialBias)
            );
            Assert.Equal((alone.Nodes.Count, alone.SelectionLoss), (trials[i].Nodes, trials[i].SelectionLoss));
        }

        Assert.All(
            trials.Skip(2),
            trial => Assert.True(trial.Lr != Centre.Lr && trial.Temperature != Centre.Temperature && !Centre.KCoef.Contains(trial.KCoef))
        );
    }

    /// <summary>Nine trials: the last is of the second round, and varies what the first found.</summary>
    [Fact]
    public void AnInterruptedSearchGoesOnAsIfItHadNotStoppedWhateverTheNumberAtATime()
    {
        IReadOnlyList<SearchTrial> expected = SettingsSearch.Run([_subjects[0]], Task, Centre, 9, _folder["once.jsonl"]);
        using var stop = new CancellationTokenSource();
        int finished = 0;
        Assert.Throws<OperationCanceledException>(() =>
            SettingsSearch.Run(_subjects, Task, Centre, 9, _folder["twice.jsonl"], _ => StopAfter(3), stop.Token)
        );
        int before = File.ReadAllLines(_folder["twice.jsonl"]).Length;

        IReadOnlyList<SearchTrial> resumed = SettingsSearch.Run(_subjects, Task, Centre, 9, _folder["twice.jsonl"]);

        Assert.InRange(before, 3, 5);
        Assert.Equal(expected, resumed);
        Assert.Equal(File.ReadAllText(_folder["once.jsonl"]), File.ReadAllText(_folder["twice.jsonl"]));

        void StopAfter(int trials)
        {
            if (++finished == trials)
            {
                stop.Cancel();
            }
        }
    }
}
