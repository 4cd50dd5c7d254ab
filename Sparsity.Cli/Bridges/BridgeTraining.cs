using System.Text.Json.Nodes;
using Sparsity.Cli.Verbs;
using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Bridges;

/// <summary><c>bridge train</c>: begins a run, or continues one.</summary>
internal static class BridgeTraining
{
    public static int Run(BridgeVerb flags, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        string directory = flags.Resume ?? BridgeVerb.Required(flags.Out, "train", "--out DIR");
        bool finished = flags.Resume is null ? Begin(flags, directory, engine, group, stop) : Continue(flags, new RunFolder(directory), engine, group, stop);
        if (!finished)
        {
            Terminal.Line($"stopped; continue with: sparsity bridge train --resume {directory}");
        }

        return 0;
    }

    private static bool Begin(BridgeVerb flags, string directory, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        string denseDirectory = BridgeVerb.Required(flags.Dense, "train", "--dense DIR");
        using var dense = new OpenedRun(denseDirectory, engine, flags.Data, flags.Tokenizer);
        BridgeFolder.RequireDense(dense.Model.Parameters, denseDirectory);
        DataFolder data = dense.Data;
        using OpenedRun? start = flags.Init is null ? null : new OpenedRun(flags.Init, engine, data.Directory, flags.Tokenizer);
        if (start is not null && start.Tokenizer.Fingerprint != dense.Tokenizer.Fingerprint)
        {
            throw new BadInputException($"{flags.Init}: has another tokenizer than the dense model in {denseDirectory}. Give models trained with one tokenizer.");
        }

        (ModelConfig model, TrainingConfig training, BridgeConfig bridge) = Settings(flags, dense.Model.Config, start);
        var trainer = new BridgeTrainer(dense.Model, model, training, bridge, start?.Model.Parameters, group);
        RunFolder folder = TrainVerb.NewFolder(directory, group);
        if (group.IsLeader())
        {
            AtomicFile.WriteText(new BridgeFolder(directory).RecordPath, JsonText.Write(new BridgeRecord
            {
                Dense = Path.GetFullPath(denseDirectory),
                DenseFingerprint = dense.Model.Parameters.Fingerprint(),
                Init = flags.Init is null ? null : Path.GetFullPath(flags.Init),
                InitFingerprint = start?.Model.Parameters.Fingerprint(),
                Bridge = bridge,
            }));
        }

        return TrainVerb.Start(trainer, folder, data, stop);
    }

    private static bool Continue(BridgeVerb flags, RunFolder folder, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        BridgeRecord bridge = new BridgeFolder(folder.Directory).ReadRecord();
        RunRecord record = folder.ReadRecord();
        string denseDirectory = flags.Dense ?? RecordedPath.Folder(bridge.Dense, folder.Directory);
        using var dense = new OpenedRun(denseDirectory, engine, flags.Data ?? RecordedPath.Folder(record.Data, folder.Directory), flags.Tokenizer);
        if (dense.Model.Parameters.Fingerprint() != bridge.DenseFingerprint)
        {
            throw new BadInputException($"{denseDirectory}: is another dense model than the run in {folder.Directory} began with. Restore it, or give it with --dense.");
        }

        DataFolder data = dense.Data;
        record.RequireData(data, folder.Directory);
        if (flags.Init is not null && (bridge.Init is null || folder.HasState))
        {
            throw new BadInputException($"{folder.Directory}: does not need --init: it {(bridge.Init is null ? "began with random weights" : "has a checkpoint to go on from")}. Leave it out.");
        }

        using OpenedRun? start = folder.HasState || bridge.Init is null ? null : new OpenedRun(flags.Init ?? RecordedPath.Folder(bridge.Init, folder.Directory), engine);
        if (start is not null && bridge.InitFingerprint is not null && start.Model.Parameters.Fingerprint() != bridge.InitFingerprint)
        {
            throw new BadInputException($"{start.Folder.Directory}: has other weights than those that the run in {folder.Directory} was to begin with. Give the right model with --init.");
        }

        ModelConfig model = folder.ReadConfig();
        var trainer = new BridgeTrainer(dense.Model, model, record.Training.Resolved(model, folder.RunPath), bridge.Bridge, start?.Model.Parameters, group);
        return TrainVerb.Continue(trainer, folder, data, stop);
    }

    private static (ModelConfig Model, TrainingConfig Training, BridgeConfig Bridge) Settings(BridgeVerb flags, ModelConfig dense, OpenedRun? start)
    {
        JsonObject json = flags.Config is null ? [] : JsonText.ParseObject(JsonText.ReadAllText(flags.Config), flags.Config);
        foreach ((string name, _) in json)
        {
            if (name is not ("model" or "training" or "bridge"))
            {
                throw new BadInputException($"{flags.Config}: unknown field '{name}'; expected model, training and bridge.");
            }
        }

        if (start is not null && (json["model"] is not null || flags.DModel is not null || flags.DMlp is not null))
        {
            throw new BadInputException(
                "bridge train: --init takes the shape from its model, so --d-model, --d-mlp and a model in --config contradict it. Give one or the other.");
        }

        if (start?.IsTrainedHere == true && (flags.Density is not null || flags.MinimumAlive is not null))
        {
            throw new BadInputException(
                "bridge train: --init takes the sparsity from its run, so --density and --minimum-alive contradict it. Give one or the other.");
        }

        ModelConfig model = (start is null ? null : start.Model.Config with { OtherFields = null })
            ?? (json["model"] is { } given ? ModelConfig.Parse(given.ToJsonString(), flags.Config!) : ModelConfig.Small(dense.VocabSize) with { NLayer = dense.NLayer });
        if (flags.DModel is { } width)
        {
            model = model with { DModel = width, DMlpField = 4 * width, NHead = Math.Max(1, width / model.DHead), DHeadField = model.DHead };
        }

        TrainingConfig training = json["training"] is { } settings ? JsonText.Read<TrainingConfig>(settings, flags.Config!)
            : start is { IsTrainedHere: true } ? start.Training with { PfracAnneal = false, TotalTokens = new TrainingConfig().TotalTokens }
            : new TrainingConfig
            {
                Lr = 0.03,
                Density = start is null ? 1.0 / 16 : ModelStatistics.Of(start.Model.Parameters).NonzeroFraction, // a released model stays as sparse as it is
                PfracAnneal = start is null,
                PositionEmbeddings = PositionEmbeddings.Learned,
            };
        training = training with
        {
            Seed = flags.Seed ?? training.Seed,
            TotalTokens = flags.Tokens ?? training.TotalTokens,
            BatchSequences = flags.Batch ?? training.BatchSequences,
            ContextTokens = flags.Context ?? training.ContextTokens,
            Lr = flags.LearningRate ?? training.Lr,
            Density = flags.Density ?? training.Density,
            Pfrac = flags.Density is null ? training.Pfrac : null,
            MinimumAlivePerNeuron = flags.MinimumAlive ?? training.MinimumAlivePerNeuron,
        };
        model = (model with { DMlpField = flags.DMlp ?? model.DMlpField, BlockSize = Math.Max(model.BlockSize, training.ContextTokens) }).Validated();
        BridgeConfig bridge = json["bridge"] is { } own ? JsonText.Read<BridgeConfig>(own, flags.Config!) : new BridgeConfig();
        bridge = bridge with { Lr = flags.BridgeLearningRate ?? bridge.Lr };
        return (model, training.Resolved(model), bridge.Validated(flags.Config ?? "bridge train"));
    }
}
