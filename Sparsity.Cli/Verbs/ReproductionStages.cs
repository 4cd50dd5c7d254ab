using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>
/// The stages of a figure or a sweep, each an ordinary folder below <c>--out</c>: data/, models/NAME (as train makes it),
/// circuits/NAME-METHOD (as prune makes it). A stage that is finished is read, one that was stopped goes on, so that figures made in one
/// folder share what they have in common.
/// </summary>
internal sealed class ReproductionStages(EngineVerb verb, string root, StagePlan plan, CancellationToken stop) : IDisposable
{
    private readonly IComputeEngine _engine = verb.CreateEngine(verb.Threads);
    private readonly List<MeasuredModel> _models = [];
    private readonly List<ModelCircuits> _circuits = [];
    private readonly List<DivergedModel> _diverged = [];
    private readonly TimeLeft _timeLeft = new();
    private double _minutesDone;
    private double _minutesRead;
    private DataFolder? _data;
    private string? _dataFingerprint;

    /// <summary>Everything trained or read so far, in order.</summary>
    public IReadOnlyList<MeasuredModel> Models => _models;

    /// <summary>Everything pruned or read so far, in order.</summary>
    public IReadOnlyList<ModelCircuits> Circuits => _circuits;

    /// <summary>Everything whose training diverged, now or earlier, in order.</summary>
    public IReadOnlyList<DivergedModel> Diverged => _diverged;

    /// <summary>All of these, as a shard lists them.</summary>
    public FinishedStages Finished => FinishedStages.Of(_models, _circuits, _diverged);

    private DataFolder Data => _data ??= OpenData();

    /// <summary>Carries out a plan, or goes on with it; a shard in a folder of its own.</summary>
    /// <param name="verb">Whose device computes.</param>
    /// <param name="directory"><c>--out</c>.</param>
    /// <param name="asked">The plan that was asked for.</param>
    /// <param name="load">Reads the plan that a folder was begun with.</param>
    /// <param name="make">Makes the stages.</param>
    /// <param name="finish">Once all stages are there, not for a shard: writes the result into the folder, its last argument.</param>
    /// <param name="stop">Stops, so that the same command goes on.</param>
    /// <exception cref="BadInputException">The folder was begun with another plan.</exception>
    public static void CarryOut<TPlan>(
        EngineVerb verb,
        string directory,
        TPlan asked,
        Func<string, TPlan> load,
        Action<TPlan, ReproductionStages> make,
        Action<TPlan, ReproductionStages, string> finish,
        CancellationToken stop
    )
        where TPlan : StagePlan
    {
        string root = asked.Shard is { } own ? Path.Combine(directory, own.FolderName) : directory;
        string folder = Path.Combine(root, asked.Name);
        string planPath = Path.Combine(folder, "plan.json");
        bool isNew = !File.Exists(planPath);
        TPlan plan = isNew ? asked : StagePlan.GoOn(planPath, load(planPath), asked);
        try
        {
            using var stages = new ReproductionStages(verb, root, plan, stop);
            if (isNew)
            {
                // Only now that all that was given is known to be good.
                AtomicFile.CreateDirectory(folder);
                AtomicFile.WriteText(planPath, plan.ToJson());
            }

            make(plan, stages);
            if (plan.Shard is { } shard)
            {
                ReproductionMerge.Finish(root, plan.Name, stages.Finished);
                Terminal.Line($"shard {shard} is finished; when all are: sparsity merge --from {directory} --out DIR");
            }
            else
            {
                finish(plan, stages, folder);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Terminal.Line($"stopped; the same command goes on");
        }
    }

    /// <summary>Trains a model of a figure.</summary>
    /// <exception cref="OperationCanceledException">It was stopped, and can go on.</exception>
    public MeasuredModel Train(PlannedModel planned)
    {
        ModelConfig shape = planned.Shape(Data.Tokenizer.VocabularySize);
        return Train(planned, shape, planned.Training(shape));
    }

    /// <summary>Trains a model of a sweep, which goes on where one diverges.</summary>
    /// <returns>Null if it diverged, now or earlier.</returns>
    /// <inheritdoc cref="Train(PlannedModel, ModelConfig, TrainingConfig)"/>
    public MeasuredModel? TrainOrDiverge(PlannedModel planned, ModelConfig shape, TrainingConfig training)
    {
        var folder = new RunFolder(ModelFolder(planned.Name));
        DivergedModel? diverged = DivergedModel.Find(folder);
        if (diverged is not null)
        {
            RequireSame(folder, shape, training);
        }
        else
        {
            try
            {
                return Train(planned, shape, training);
            }
            catch (NumericalException e)
            {
                Terminal.Line($"{planned.Name} diverged: {e.Message}");
                diverged = new DivergedModel(planned.Name, planned, e.Message);
                diverged.WriteTo(folder);
            }
        }

        _diverged.Add(diverged);
        return null;
    }

    /// <param name="planned">For the record.</param>
    /// <param name="shape">The model's.</param>
    /// <param name="training">Resolved for it.</param>
    /// <exception cref="OperationCanceledException">It was stopped, and can go on.</exception>
    private MeasuredModel Train(PlannedModel planned, ModelConfig shape, TrainingConfig training)
    {
        stop.ThrowIfCancellationRequested();
        var folder = new RunFolder(ModelFolder(planned.Name));
        bool isBegun = File.Exists(folder.RunPath);
        if (isBegun)
        {
            RequireSame(folder, shape, training);
        }

        bool isFinished = isBegun && folder.NextStep == training.LastStep() + 1;
        if (!isFinished)
        {
            Terminal.Line($"training {planned.Name}{Left()}");
            using TrainingRun run = isBegun
                ? Run.Resume(folder.Directory, _engine, Data.Directory)
                : Run.Create(folder.Directory, _engine, Data, shape, training);
            if (!(isBegun ? TrainingProgress.Resume(run, stop) : TrainingProgress.Run(run, stop)))
            {
                throw new OperationCanceledException(stop);
            }
        }

        Count(isFinished, ReproductionCost.TrainingMinutes(planned));
        using ModelParameters parameters = folder.ReadModel(_engine);
        var measured = MeasuredModel.Of(planned, folder, parameters.Fingerprint());
        _models.Add(measured);
        return measured;
    }

    /// <summary>Prunes a model to the plan's tasks at its targets, with the model's own seed.</summary>
    /// <exception cref="OperationCanceledException">It was stopped, and can go on.</exception>
    public void Prune(MeasuredModel model, PruningMethod method)
    {
        stop.ThrowIfCancellationRequested();
        PruningPlan wanted = plan.PruningOf(ModelFolder(model.Name), model.Fingerprint, model.Model.Seed, method);
        string directory = Path.Combine(root, "circuits", ModelCircuits.FolderName(model.Name, method));
        string planPath = Path.Combine(directory, "prune.json");
        AtomicFile.CreateDirectory(directory);
        if (File.Exists(planPath))
        {
            // The same folder may have been given by another path, or a later version may go on with it.
            PruningPlan stored = PruningPlan.Load(planPath);
            if (
                JsonText.Write(stored)
                != JsonText.Write(wanted with { Model = stored.Model, Version = stored.Version, DataFingerprint = stored.DataFingerprint })
            )
            {
                throw new BadInputException($"{planPath}: asks for other circuits than this plan. Give another --out.");
            }
        }
        else
        {
            AtomicFile.WriteText(planPath, JsonText.Write(wanted));
        }

        using var run = new PruningRun(directory, wanted);
        bool isFinished = run.Remaining.Count == 0;
        if (!isFinished)
        {
            Terminal.Line(
                $"pruning {model.Name}, {run.Remaining.Count} of {wanted.Tasks.Count} tasks, by "
                    + $"{method.ToString().ToLowerInvariant()}{Left()}"
            );
            using var workers = new PruningWorkers(
                verb,
                wanted.Model,
                Data.Directory,
                tokenizer: null,
                run.Remaining.Count,
                wanted.Settings,
                wanted.Faithfulness
            );
            var line = new PruningProgressLine(wanted, run.Remaining.Count);
            run.Execute(workers.Subjects, line.Show, results => line.Finish(results[0].Task), stop);
        }

        Count(isFinished, ReproductionCost.PruningMinutes(model.Model, plan));
        _circuits.Add(new ModelCircuits(model.Name, model.Model.Seed, method, [.. run.Results.Results.Select(CircuitSize.Of)]));
    }

    /// <summary>Those of the plan's tasks that the last token decides.</summary>
    public IReadOnlyList<string> LastTokenTasks() =>
        Core.Reproduction.LastTokenTasks.Among(
            plan.Tasks,
            Data.Tokenizer,
            plan.Pruning,
            plan.Models[0].Shape(Data.Tokenizer.VocabularySize).BlockSize
        );

    /// <summary>How sparse models and their dense partners, the nearest in loss, predict each token of the validation text.</summary>
    public IReadOnlyList<TokenLoss> TokenLosses(IReadOnlyList<DenseMatch> matches)
    {
        return TokenLoss.Of([.. matches.Select(match => (Sums(Find(match.Sparse)), Sums(Partner(match))))], Data.Tokenizer);

        MeasuredModel Find(string name) => _models.First(model => model.Name == name);

        MeasuredModel Partner(DenseMatch match) =>
            match.Dense.Select(Find).MinBy(dense => Math.Abs(dense.ValidationLoss - Find(match.Sparse).ValidationLoss))!;

        TokenLossSums Sums(MeasuredModel model)
        {
            using OpenedRun run = Run.Open(ModelFolder(model.Name), _engine, Data.Directory);
            return TokenLossSums.Measure(run.Model, run.Training, Data.Validation);
        }
    }

    public void Dispose() => _engine.Dispose();

    /// <summary>How long the stages take yet, by what they were reckoned to take.</summary>
    private string Left() => _timeLeft.After(_minutesDone / Math.Max(plan.Minutes - _minutesRead, _minutesDone + 1e-9));

    /// <summary>Counts a stage that is there now.</summary>
    /// <param name="isRead">Whether it was there before.</param>
    /// <param name="minutes">What it was reckoned to take.</param>
    private void Count(bool isRead, double minutes)
    {
        _minutesDone += isRead ? 0 : minutes;
        _minutesRead += isRead ? minutes : 0;
    }

    private string ModelFolder(string name) => Path.GetFullPath(Path.Combine(root, "models", name));

    private void RequireSame(RunFolder folder, ModelConfig shape, TrainingConfig training)
    {
        RunRecord record = folder.ReadRecord();
        bool isSame =
            record.Training == training
            && folder.ReadConfig().ToJson() == shape.ToJson()
            && record.TokenizerFingerprint == Data.Tokenizer.Fingerprint
            && (
                record.DataFingerprint is { } data
                    ? data == (_dataFingerprint ??= Data.Fingerprint())
                    : Path.GetFullPath(record.Data) == Path.GetFullPath(Data.Directory)
            );
        if (!isSame)
        {
            throw new BadInputException(
                $"{folder.Directory}: was trained with other settings or data than this plan asks for. Give another --out."
            );
        }
    }

    /// <summary>
    /// The folder that was given, or synthetic text; which is made under another name first, so that what has the name is whole.
    /// </summary>
    private DataFolder OpenData()
    {
        if (plan.Synthetic is not { } text)
        {
            return DataFolder.Open(plan.Data!);
        }

        string directory = Path.Combine(root, text.Name);
        if (!Directory.Exists(directory))
        {
            using var held = FolderLock.Take(root);
            string partial = directory + ".partial";
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }

            Terminal.Line($"corpus and tokenizer");
            CorpusVerb.WriteSynthetic(partial, text.Megabytes, text.Seed);
            DataFolder.Tokenize(partial, null, text.Vocabulary, separateBrackets: true);
            Directory.Move(partial, directory);
        }

        return DataFolder.Open(directory);
    }
}
