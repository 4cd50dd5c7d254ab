using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Runs that train a sparse model and its bridges to a dense one: a run's folder with bridge.json and bridges.safetensors beside its other
/// files.
/// </summary>
internal static class BridgeRun
{
    /// <summary>Begins a run.</summary>
    /// <param name="directory">A new or empty folder.</param>
    /// <param name="dense">The dense model; stays its owner's, and is needed until the run ends.</param>
    /// <param name="model">The sparse model's shape.</param>
    /// <param name="training">How the sparse model is trained.</param>
    /// <param name="bridge">What bridges are, and how they are trained.</param>
    /// <param name="initial">The sparse model's initial weights, of the same shape; null draws them.</param>
    /// <param name="group">The processes that train together; null for this one alone.</param>
    /// <exception cref="BadInputException">The folder holds files, settings are out of range, or the models do not match.</exception>
    public static TrainingRun Create(
        string directory,
        OpenedRun dense,
        ModelConfig model,
        TrainingConfig training,
        BridgeConfig bridge,
        OpenedRun? initial = null,
        IProcessGroup? group = null
    )
    {
        BridgeFolder.RequireDense(dense.Model.Parameters, dense.Folder.Directory);
        DataFolder data = dense.Data;
        if (initial is not null && initial.Tokenizer.Fingerprint != dense.Tokenizer.Fingerprint)
        {
            throw new BadInputException(
                $"{initial.Folder.Directory}: has another tokenizer than the dense model in {dense.Folder.Directory}. Give models "
                    + $"trained with one tokenizer."
            );
        }

        BridgePairs.RequireMatch(dense.Model.Config, model); // before anything is said of settings that depend on the shape
        var trainer = new BridgeTrainer(
            dense.Model,
            model.Validated(),
            training.Resolved(model),
            bridge.Validated(),
            initial?.Model.Parameters,
            group
        );
        var record = new BridgeRecord
        {
            Dense = Path.GetFullPath(dense.Folder.Directory),
            DenseFingerprint = dense.Model.Parameters.Fingerprint(),
            Init = initial is null ? null : Path.GetFullPath(initial.Folder.Directory),
            InitFingerprint = initial?.Model.Parameters.Fingerprint(),
            Bridge = bridge,
        };
        return Run.Create(
            directory,
            trainer,
            data,
            initial: null,
            _ => AtomicFile.WriteText(new BridgeFolder(directory).RecordPath, JsonText.Write(record))
        );
    }

    /// <summary>Opens the dense model that a run began with.</summary>
    /// <param name="directory">The run's folder.</param>
    /// <param name="engine">Where the run will train.</param>
    /// <param name="dense">Where the dense model is now; null for where it was, or near the run's folder.</param>
    /// <param name="data">Where the run's data are now; null for where they were, or near the run's folder.</param>
    /// <param name="tokenizer">Tokenizer folder; null for the dense model's own, or else that of the data.</param>
    /// <exception cref="BadInputException">The folder is no run with bridges, or there is another dense model.</exception>
    public static OpenedRun OpenDense(
        string directory,
        IComputeEngine engine,
        string? dense = null,
        string? data = null,
        string? tokenizer = null
    )
    {
        BridgeRecord bridge = new BridgeFolder(directory).ReadRecord();
        RunRecord record = new RunFolder(directory).ReadRecord();
        OpenedRun opened = Run.Open(
            dense ?? RecordedPath.Folder(bridge.Dense, directory),
            engine,
            data ?? RecordedPath.Folder(record.Data, directory),
            tokenizer
        );
        if (opened.Model.Parameters.Fingerprint() == bridge.DenseFingerprint)
        {
            return opened;
        }

        opened.Dispose();
        throw new BadInputException(
            $"{opened.Folder.Directory}: is another dense model than the run in {directory} began with. Restore it, or say where the "
                + $"right one is."
        );
    }

    /// <summary>Goes on with a run from its last checkpoint, with the settings it has; from its beginning if it has none yet.</summary>
    /// <param name="directory">The run's folder.</param>
    /// <param name="dense">From <see cref="OpenDense"/>; needed until the run ends.</param>
    /// <param name="initial">Where the model that the sparse one was to begin with is now; null for where it was. Not for a run with
    /// checkpoints.</param>
    /// <param name="group">The processes that train together; null for this one alone.</param>
    /// <exception cref="BadInputException">The data or the initial model are not those that the run began with.</exception>
    public static TrainingRun Resume(string directory, OpenedRun dense, string? initial = null, IProcessGroup? group = null)
    {
        var folder = new RunFolder(directory);
        BridgeRecord bridge = new BridgeFolder(directory).ReadRecord();
        RunRecord record = folder.ReadRecord();
        record.RequireData(dense.Data, directory);
        folder.RequireUsesInitial(initial, bridge.Init);
        using OpenedRun? first =
            folder.HasState || bridge.Init is null
                ? null
                : Run.Open(initial ?? RecordedPath.Folder(bridge.Init, directory), dense.Model.Parameters.Engine);
        if (first is not null && bridge.InitFingerprint is not null)
        {
            folder.RequireSameInitial(first.Folder.Directory, first.Model.Parameters.Fingerprint(), bridge.InitFingerprint);
        }

        ModelConfig model = folder.ReadConfig();
        var trainer = new BridgeTrainer(
            dense.Model,
            model,
            record.Training.Resolved(model, folder.RunPath),
            bridge.Bridge,
            first?.Model.Parameters,
            group
        );
        return Run.Resume(folder, trainer, dense.Data);
    }
}
