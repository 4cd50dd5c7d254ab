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
/// The stages of a figure, each an ordinary folder below <c>--out</c>: data/, models/NAME (as train makes it), circuits/NAME-METHOD (as
/// prune makes it). A stage that is finished is read, one that was stopped goes on, so that figures made in one folder share what they have
/// in common.
/// </summary>
internal sealed class ReproductionStages(EngineVerb verb, string root, ReproductionPlan plan, CancellationToken stop) : IDisposable
{
    private readonly IComputeEngine _engine = verb.CreateEngine(verb.Threads);
    private readonly List<MeasuredModel> _models = [];
    private readonly List<ModelCircuits> _circuits = [];
    private DataFolder? _data;
    private string? _dataFingerprint;

    /// <summary>Everything trained or read so far, in order.</summary>
    public IReadOnlyList<MeasuredModel> Models => _models;

    /// <summary>Everything pruned or read so far, in order.</summary>
    public IReadOnlyList<ModelCircuits> Circuits => _circuits;

    private DataFolder Data => _data ??= OpenData();

    /// <summary>Trains a model.</summary>
    /// <exception cref="OperationCanceledException">It was stopped, and can go on.</exception>
    public MeasuredModel Train(PlannedModel planned)
    {
        stop.ThrowIfCancellationRequested();
        var folder = new RunFolder(ModelFolder(planned.Name));
        ModelConfig shape = planned.Shape(Data.Tokenizer.VocabularySize);
        TrainingConfig training = planned.Training(shape);
        bool isBegun = File.Exists(folder.RunPath);
        if (isBegun)
        {
            RequireSame(folder, shape, training);
        }

        if (!isBegun || folder.NextStep != training.LastStep() + 1)
        {
            Terminal.Line($"training {planned.Name}");
            using TrainingRun run = isBegun
                ? Run.Resume(folder.Directory, _engine, Data.Directory)
                : Run.Create(folder.Directory, _engine, Data, shape, training);
            if (!(isBegun ? TrainingProgress.Resume(run, stop) : TrainingProgress.Run(run, stop)))
            {
                throw new OperationCanceledException(stop);
            }
        }

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
                throw new BadInputException($"{planPath}: asks for other circuits than this figure's plan. Give another --out.");
            }
        }
        else
        {
            AtomicFile.WriteText(planPath, JsonText.Write(wanted));
        }

        using var run = new PruningRun(directory, wanted);
        if (run.Remaining.Count > 0)
        {
            Terminal.Line(
                $"pruning {model.Name}, {run.Remaining.Count} of {wanted.Tasks.Count} tasks, by {method.ToString().ToLowerInvariant()}"
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
            run.Execute(workers.Subjects, (task, progress) => PruneVerb.Show(task, wanted.Settings, progress), stop: stop);
        }

        _circuits.Add(new ModelCircuits(model.Name, model.Model.Seed, method, [.. run.Results.Results.Select(CircuitSize.Of)]));
    }

    public void Dispose() => _engine.Dispose();

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
                $"{folder.Directory}: was trained with other settings or data than this figure's plan asks for. Give another --out."
            );
        }
    }

    /// <summary>
    /// The folder that was given, or synthetic text; which is made under another name first, so that what has the name is whole.
    /// </summary>
    private DataFolder OpenData()
    {
        if (plan.Data is not null)
        {
            return DataFolder.Open(plan.Data);
        }

        string directory = Path.Combine(root, plan.DataName!);
        if (!Directory.Exists(directory))
        {
            using var held = FolderLock.Take(root);
            string partial = directory + ".partial";
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }

            Terminal.Line($"corpus and tokenizer");
            CorpusVerb.WriteSynthetic(partial, plan.Megabytes, plan.Seed);
            DataFolder.Tokenize(partial, null, plan.Vocabulary, separateBrackets: true);
            Directory.Move(partial, directory);
        }

        return DataFolder.Open(directory);
    }
}
