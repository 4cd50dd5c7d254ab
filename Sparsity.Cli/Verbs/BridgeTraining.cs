using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary><c>bridge train</c>: begins a run, or continues one.</summary>
internal static class BridgeTraining
{
    public static int Run(BridgeVerb flags, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        string directory = flags.Resume ?? BridgeVerb.Required(flags.Out, "train", "--out DIR");
        if (!(flags.Resume is null ? Begin(flags, directory, engine, group, stop) : Continue(flags, directory, engine, group, stop)))
        {
            Terminal.Line($"stopped; continue with: sparsity bridge train --resume {directory}");
        }

        return 0;
    }

    private static bool Begin(BridgeVerb flags, string directory, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        using OpenedRun dense = flags.Open(BridgeVerb.Required(flags.Dense, "train", "--dense DIR"), engine);
        using OpenedRun? initial = flags.Init is null ? null : flags.Open(flags.Init, engine, dense.Data.Directory);
        (ModelConfig model, TrainingConfig training, BridgeConfig bridge) = Settings(flags, dense.Model.Config, initial);
        using TrainingRun run = BridgeRun.Create(directory, dense, model, training, bridge, initial, group);
        return TrainingProgress.Run(run, stop);
    }

    private static bool Continue(BridgeVerb flags, string directory, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        using OpenedRun dense = BridgeRun.OpenDense(directory, engine, flags.Dense, flags.Data, flags.Tokenizer);
        using TrainingRun run = BridgeRun.Resume(directory, dense, flags.Init, group);
        return TrainingProgress.Resume(run, stop);
    }

    private static (ModelConfig Model, TrainingConfig Training, BridgeConfig Bridge) Settings(
        BridgeVerb flags,
        ModelConfig dense,
        OpenedRun? start
    )
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
                "bridge train: --init takes the shape from its model, so --d-model, --d-mlp and a model in --config contradict it. "
                    + "Give one or the other."
            );
        }

        if (start?.IsTrainedHere == true && (flags.Density is not null || flags.MinimumAlive is not null))
        {
            throw new BadInputException(
                "bridge train: --init takes the sparsity from its run, so --density and --minimum-alive contradict it. Give one or "
                    + "the other."
            );
        }

        ModelConfig model =
            (start is null ? null : start.Model.Config with { OtherFields = null })
            ?? ModelConfig.Small(dense.VocabSize) with
            {
                NLayer = dense.NLayer,
            };
        model = json["model"] is { } given ? model.With(JsonText.RequireObject(given, $"{flags.Config}: model"), flags.Config!) : model;
        if (flags.DModel is { } width)
        {
            model = model with
            {
                DModel = width,
                DMlpField = 4 * width,
                NHead = Math.Max(1, width / model.DHead),
                DHeadField = model.DHead,
            };
        }

        TrainingConfig training =
            start is null ? TrainingConfig.Small
            : start.IsTrainedHere ? start.Training with { PfracAnneal = false, TotalTokens = TrainingConfig.Small.TotalTokens }
            // A released model stays as sparse as it is.
            : TrainingConfig.Small with { PfracAnneal = false, Density = ModelStatistics.Of(start.Model.Parameters).NonzeroFraction };
        training = json["training"] is { } settings
            ? training.With(JsonText.RequireObject(settings, $"{flags.Config}: training"), flags.Config!)
            : training;
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
        model = (
            model with
            {
                DMlpField = flags.DMlp ?? model.DMlpField,
                BlockSize = Math.Max(model.BlockSize, training.ContextTokens),
            }
        ).Validated();
        BridgeConfig bridge = json["bridge"] is { } own ? JsonText.Read<BridgeConfig>(own, flags.Config!) : new BridgeConfig();
        bridge = bridge with { Lr = flags.BridgeLearningRate ?? bridge.Lr };
        return (model, training.Resolved(model), bridge.Validated(flags.Config ?? "bridge train"));
    }
}
