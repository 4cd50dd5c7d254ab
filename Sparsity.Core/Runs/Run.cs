using System.Reflection;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// A training run is a folder (docs/formats.md): begun with
/// <see cref="Create(string, IComputeEngine, DataFolder, ModelConfig, TrainingConfig, StoredModel)"/>, gone on with by
/// <see cref="Resume(string, IComputeEngine, string, string, IProcessGroup)"/>, and read by <see cref="Open"/>, at any time and by any
/// program.
/// </summary>
public static class Run
{
    /// <summary>Begins a run: the folder with its settings, tokenizer and first weights. Nothing is trained yet.</summary>
    /// <param name="directory">A new or empty folder.</param>
    /// <param name="engine">Where it trains.</param>
    /// <param name="data">What it trains on.</param>
    /// <param name="model">The model's shape.</param>
    /// <param name="training">How it is trained.</param>
    /// <param name="initial">Weights to begin with; null for random ones.</param>
    /// <exception cref="BadInputException">The folder holds files, settings are out of range, there is too little text, or the initial
    /// model has another shape.</exception>
    public static TrainingRun Create(
        string directory,
        IComputeEngine engine,
        DataFolder data,
        ModelConfig model,
        TrainingConfig training,
        StoredModel? initial = null
    )
    {
        TrainingConfig resolved = training.Resolved(model.Validated());
        if (model.VocabSize < data.Tokenizer.VocabularySize)
        {
            throw new BadInputException(
                $"vocab_size is {model.VocabSize}, but the tokenizer of {data.Directory} has {data.Tokenizer.VocabularySize} tokens. Raise "
                    + "it, or use other data."
            );
        }

        TrainingRun.RequireData(resolved, data.Training.Length, data.Validation.Length); // before anything is allocated
        return Create(directory, new Trainer(engine, model, resolved), data, initial);
    }

    /// <summary>
    /// The same with any trainer, which the run disposes. Where several processes train together, rank 0 makes the folder.
    /// </summary>
    /// <param name="directory">A new or empty folder.</param>
    /// <param name="trainer">Of a resolved configuration.</param>
    /// <param name="data">What it trains on.</param>
    /// <param name="initial">Weights to begin with; null for those that the trainer draws.</param>
    /// <param name="writeBeside">Writes what the folder of such a run has besides; called before the run can be resumed.</param>
    /// <inheritdoc cref="Create(string, IComputeEngine, DataFolder, ModelConfig, TrainingConfig, StoredModel)" path="/exception"/>
    internal static TrainingRun Create(
        string directory,
        Trainer trainer,
        DataFolder data,
        StoredModel? initial = null,
        Action<RunFolder>? writeBeside = null
    )
    {
        RunFolder folder = trainer.Group.IsLeader() ? RunFolder.Create(directory) : new RunFolder(directory);
        var run = new TrainingRun(trainer, folder, data.Training, data.Validation, initial: initial);
        try
        {
            if (trainer.Group.IsLeader())
            {
                writeBeside?.Invoke(folder);
                Record(trainer, folder, data, initial);
            }
        }
        catch
        {
            run.Dispose();
            throw;
        }

        return run;
    }

    /// <summary>Goes on with a run from its last checkpoint, with the settings it has; from its beginning if it has none yet.</summary>
    /// <param name="directory">The run's folder.</param>
    /// <param name="engine">Where it trains; another kind than before gives other last bits.</param>
    /// <param name="data">Where its data are now; null for where they were, or near the run's folder.</param>
    /// <param name="initial">Where the model that it was to begin with is now; null for where it was. Not for a run with
    /// checkpoints.</param>
    /// <param name="group">The processes that train it together; null for this one alone.</param>
    /// <exception cref="BadInputException">The folder is no run, or its data or initial model are not those that it began with.</exception>
    public static TrainingRun Resume(
        string directory,
        IComputeEngine engine,
        string? data = null,
        string? initial = null,
        IProcessGroup? group = null
    )
    {
        var folder = new RunFolder(directory);
        RunRecord record = folder.ReadRecord();
        ModelConfig model = folder.ReadConfig();
        var opened = DataFolder.Open(data ?? RecordedPath.Folder(record.Data, folder.Directory));
        record.RequireData(opened, folder.Directory);
        folder.RequireUsesInitial(initial, record.InitialModel);
        using StoredModel? first =
            !group.IsLeader() || folder.HasState || record.InitialModel is null
                ? null
                : StoredModel.Open(initial ?? RecordedPath.Folder(record.InitialModel, folder.Directory));
        if (first is not null && record.InitialFingerprint is not null)
        {
            folder.RequireSameInitial(first.Directory, first.Fingerprint(), record.InitialFingerprint);
        }

        return Resume(folder, new Trainer(engine, model, record.Training.Resolved(model, folder.RunPath), group), opened, first);
    }

    /// <summary>The same with any trainer, which the run disposes.</summary>
    internal static TrainingRun Resume(RunFolder folder, Trainer trainer, DataFolder data, StoredModel? initial = null) =>
        new(trainer, folder, data.Training, data.Validation, resume: true, initial);

    /// <summary>Opens the model of a folder of any kind, frozen: of a run, or one that others released.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="engine">Where the weights go.</param>
    /// <param name="data">Data folder; null for the one that the run was trained on.</param>
    /// <param name="tokenizer">Tokenizer folder; null for the model's own, or else that of the data.</param>
    /// <exception cref="BadInputException">The folder holds no model, or a damaged one.</exception>
    public static OpenedRun Open(string directory, IComputeEngine engine, string? data = null, string? tokenizer = null) =>
        new(directory, engine, data, tokenizer);

    private static void Record(Trainer trainer, RunFolder folder, DataFolder data, StoredModel? initial)
    {
        var record = new RunRecord
        {
            Version = Assembly.GetExecutingAssembly().GetName().Version!.ToString(3),
            Device = (trainer.Group is { } group ? FormattableString.Invariant($"{group.Size} x ") : "") + trainer.Engine.Description,
            Data = Path.GetFullPath(data.Directory),
            DataFingerprint = data.Fingerprint(),
            InitialModel = initial is null ? null : Path.GetFullPath(initial.Directory),
            InitialFingerprint = initial?.Fingerprint(),
            TokenizerFingerprint = data.Tokenizer.Fingerprint,
            BigramLoss = TrainingRun.BigramLoss(trainer.Config, trainer.Model.Config.VocabSize, data.Training, data.Validation),
            Training = trainer.Config,
        };
        data.Tokenizer.Save(folder.TokenizerPath);
        folder.WriteConfig(trainer.Model.Config);
        AtomicFile.WriteText(folder.RunPath, JsonText.Write(record)); // from here on the run can be resumed
    }
}
