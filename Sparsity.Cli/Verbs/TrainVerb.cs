using System.Reflection;
using CommandLine;
using Sparsity.Cli.Mpi;
using Sparsity.Core;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;
using Sparsity.Core.Training;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli.Verbs;

[Verb("train", HelpText = "Train a weight-sparse (or, with --dense, an ordinary) transformer on a data folder.")]
internal sealed class TrainVerb : TrainingFlags
{
    [Option("data", HelpText = "Data folder made by 'corpus'. With --resume: where it is now.")]
    public string? Data { get; set; }

    [Option("out", HelpText = "Run folder to make.")]
    public string? Out { get; set; }

    [Option("resume", HelpText = "Run folder to continue, with the settings it has; takes only --data, --init, --device and --threads beside it.")]
    public string? Resume { get; set; }

    [Option("init", HelpText = "Run or released model whose weights to begin with; the model takes its shape. With --resume: where it is now.")]
    public string? Init { get; set; }

    [Option("config", HelpText = "JSON file {\"model\": {official names}, \"training\": {...}}; flags below override it.")]
    public string? Config { get; set; }

    [Option("dense", HelpText = "An ordinary model: no weight sparsity, no AbsTopK.")]
    public bool Dense { get; set; }

    [Option("layers", HelpText = "Layers. (Default: 2)")]
    public int? Layers { get; set; }

    [Option("d-model", HelpText = "Residual channels. (Default: 128)")]
    public int? DModel { get; set; }

    [Option("d-mlp", HelpText = "MLP neurons. (Default: 4 * d-model)")]
    public int? DMlp { get; set; }

    [Option("d-head", HelpText = "Channels of an attention head. (Default: 16)")]
    public int? DHead { get; set; }

    [Option("heads", HelpText = "Attention heads. (Default: d-model / d-head)")]
    public int? Heads { get; set; }

    [Option("sink", HelpText = "Attention sinks.")]
    public bool Sink { get; set; }

    [Option("dry-run", HelpText = "Only check the settings and estimate the memory of a GPU that the run takes; --out is not needed.")]
    public bool DryRun { get; set; }

    public override int Run(CancellationToken stop)
    {
        if (Resume is not null)
        {
            TakesOnly("train --resume, which goes on with the settings that the run has,", ["resume", "data", "init", .. EngineFlags]);
        }

        var group = MpiGroup.Join();
        using IComputeEngine engine = CreateEngine(group);
        if (Resume is not null)
        {
            return Continue(engine, group, new RunFolder(Resume), stop);
        }

        if (Data is null || (Out is null && !DryRun))
        {
            throw new BadInputException("train needs --data DIR and --out DIR, or --resume DIR.");
        }

        DataFolder data = DataFolder.Open(Data);
        using StoredModel? initial = Init is null ? null : StoredModel.Open(Init);
        if (initial is not null)
        {
            OpenedRun.Tell(initial);
        }

        (ModelConfig model, TrainingConfig training) = Settings(data, initial?.Config);
        MemoryEstimate memory = RequireRoom(engine, model, training, group);
        if (Out is null || DryRun)
        {
            Terminal.Line($"parameters and gradients {Megabytes(memory.Parameters)}, moments {Megabytes(memory.Moments)}, activations {Megabytes(memory.Activations)}, workspace {Megabytes(memory.Workspace)}");
            Terminal.Line($"a GPU needs {Megabytes(memory.Total)}{(engine.Memory is { } device ? $"; {Megabytes(device.FreeBytes)} of {Megabytes(device.TotalBytes)} are free" : "")}");
            return 0;
        }

        TrainingRun.RequireData(training, data.Training.Length, data.Validation.Length);
        RunFolder folder = NewFolder(Out, group);
        return Start(new Trainer(engine, model, training, group), folder, data, stop, initial: initial) ? 0 : Stopped(Out);
    }

    /// <summary>The folder of a run to begin, made by rank 0; the others only know its name.</summary>
    internal static RunFolder NewFolder(string directory, IProcessGroup? group) => group.IsLeader() ? RunFolder.Create(directory) : new RunFolder(directory);

    /// <summary>What the run needs.</summary>
    /// <exception cref="BadInputException">There is less than that.</exception>
    private static MemoryEstimate RequireRoom(IComputeEngine engine, ModelConfig model, TrainingConfig training, IProcessGroup? group)
    {
        var memory = MemoryEstimate.For(engine, model, training, group);

        // On the CPU the workspace is smaller, and the limit is what the machine, or the container, grants a process.
        (long needed, long present) = engine.Memory is { } device
            ? (memory.Total, device.FreeBytes)
            : (memory.Total - memory.Workspace, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if (needed <= present)
        {
            return memory;
        }

        string free = engine.Memory is { } own ? $"{Megabytes(present)} free of {Megabytes(own.TotalBytes)}" : Megabytes(present);
        string wayOut = MemoryEstimate.InMoreParts(engine, model, training, present, group) is var (parts, smaller)
            ? $"Use --batch-parts {parts}, which needs {Megabytes(smaller.Total)}"
            : "Not even --batch-parts with one sequence each would fit: use a smaller --context or model";
        throw new BadInputException($"The run needs {Megabytes(needed)}, but {engine.Description} has {free}. {wayOut}.");
    }

    /// <summary>Begins a run in an empty folder; returns whether it reached its last step.</summary>
    internal static bool Start(
        IComputeEngine engine, RunFolder folder, DataFolder data, ModelConfig model, TrainingConfig training, CancellationToken stop, Action<TrainingMetrics>? onMetrics = null)
    {
        TrainingRun.RequireData(training, data.Training.Length, data.Validation.Length);
        return Start(new Trainer(engine, model, training), folder, data, stop, onMetrics);
    }

    /// <summary>The same with any trainer, which it disposes.</summary>
    internal static bool Start(
        Trainer trainer, RunFolder folder, DataFolder data, CancellationToken stop, Action<TrainingMetrics>? onMetrics = null, StoredModel? initial = null)
    {
        using var run = new TrainingRun(trainer, folder, data.Training, data.Validation, initial: initial);
        if (trainer.Group.IsLeader())
        {
            Record(trainer, folder, data, initial);
        }

        return Finish(run, trainer.Config.LastStep(), stop, onMetrics);
    }

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

    private int Continue(IComputeEngine engine, IProcessGroup? group, RunFolder folder, CancellationToken stop)
    {
        RunRecord record = folder.ReadRecord();
        ModelConfig model = folder.ReadConfig();
        DataFolder data = DataFolder.Open(Data ?? RecordedPath.Folder(record.Data, folder.Directory));
        record.RequireData(data, folder.Directory);
        if (Init is not null && (record.InitialModel is null || folder.HasState))
        {
            throw new BadInputException($"{folder.Directory}: does not need --init: it {(record.InitialModel is null ? "began with random weights" : "has a checkpoint to go on from")}. Leave it out.");
        }

        using StoredModel? initial = !group.IsLeader() || folder.HasState || record.InitialModel is null ? null : StoredModel.Open(Init ?? RecordedPath.Folder(record.InitialModel, folder.Directory));
        if (initial is not null && record.InitialFingerprint is not null && initial.Fingerprint() != record.InitialFingerprint)
        {
            throw new BadInputException($"{initial.Directory}: has other weights than those that the run in {folder.Directory} was to begin with. Give the right model with --init.");
        }

        TrainingConfig training = record.Training.Resolved(model, folder.RunPath);
        RequireRoom(engine, model, training, group);
        return Continue(new Trainer(engine, model, training, group), folder, data, stop, initial) ? 0 : Stopped(folder.Directory);
    }

    /// <summary>Goes on from the folder's checkpoint with any trainer, which it disposes; returns whether the run reached its last step.</summary>
    internal static bool Continue(Trainer trainer, RunFolder folder, DataFolder data, CancellationToken stop, StoredModel? initial = null)
    {
        int lastStep = trainer.Config.LastStep();
        using var run = new TrainingRun(trainer, folder, data.Training, data.Validation, resume: true, initial);
        if (run.Damage is { } damage)
        {
            Terminal.Line($"{damage}");
        }

        Terminal.Line($"continuing {folder.Directory} at step {run.NextStep} of {lastStep}");
        return Finish(run, lastStep, stop, null);
    }

    private static bool Finish(TrainingRun run, int lastStep, CancellationToken stop, Action<TrainingMetrics>? onMetrics)
    {
        bool isFinished = run.Run(metrics => Report(metrics, lastStep, onMetrics), stop, reason => Terminal.Line($"{reason}"));
        if (run.SkippedSteps > 0)
        {
            Terminal.Line($"{run.SkippedSteps} steps were skipped because a number was not finite; metrics.jsonl counts them as skipped_steps");
        }

        return isFinished;
    }

    private static void Report(TrainingMetrics metrics, int lastStep, Action<TrainingMetrics>? onMetrics)
    {
        if (metrics.LossSpike is { } deviations)
        {
            Terminal.Line($"step {metrics.Step}/{lastStep}: the loss spiked to {metrics.Loss:0.000}, {deviations:0.0} standard deviations above its running mean");
        }

        if (metrics.ValidationLoss is { } validation)
        {
            Terminal.Line($"step {metrics.Step}/{lastStep}: loss {metrics.Loss:0.000}, validation {validation:0.000}, nonzero {metrics.Statistics!.NonzeroFraction:0.0000}, {metrics.TokensPerSecond:0} tokens/s");
        }
        else
        {
            Terminal.Status($"step {metrics.Step}/{lastStep}: loss {metrics.Loss:0.000}, {metrics.TokensPerSecond:0} tokens/s");
        }

        onMetrics?.Invoke(metrics);
    }

    private static string Megabytes(long bytes) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MiB");

    private static int Stopped(string directory)
    {
        Terminal.Line($"stopped; continue with: sparsity train --resume {directory}");
        return 0;
    }

    private (ModelConfig Model, TrainingConfig Training) Settings(DataFolder data, ModelConfig? initial)
    {
        ModelConfig model = (initial is null ? null : initial with { OtherFields = null }) ?? ModelConfig.Small(data.Tokenizer.VocabularySize);
        var training = new TrainingConfig { Lr = 0.03, Density = 1.0 / 16, PositionEmbeddings = Core.Training.PositionEmbeddings.Learned };
        if (Config is not null)
        {
            System.Text.Json.Nodes.JsonObject json = JsonText.ParseObject(JsonText.ReadAllText(Config), Config);
            foreach ((string name, _) in json)
            {
                if (name is not ("model" or "training"))
                {
                    throw new BadInputException($"{Config}: unknown field '{name}'; expected model and training.");
                }
            }

            model = json["model"] is { } given ? ModelConfig.Parse(given.ToJsonString(), Config) : model;
            training = json["training"] is { } settings ? JsonText.Read<TrainingConfig>(settings, Config) : training;
        }

        if (model.VocabSize < data.Tokenizer.VocabularySize)
        {
            throw new BadInputException(
                $"{Config ?? Init}: vocab_size is {model.VocabSize}, but the data folder's tokenizer has {data.Tokenizer.VocabularySize} tokens. Raise vocab_size, or use other data.");
        }

        int width = DModel ?? model.DModel;
        int head = DHead ?? model.DHead;
        bool reshaped = DModel is not null || DHead is not null;
        model = model with
        {
            NLayer = Layers ?? model.NLayer,
            DModel = width,
            DMlpField = DMlp ?? (DModel is null ? model.DMlp : 4 * width),
            DHeadField = head,
            NHead = Heads ?? (reshaped ? width / Math.Max(head, 1) : model.NHead),
            BlockSize = Math.Max(model.BlockSize, ContextTokens ?? training.ContextTokens),
            Sink = Sink || model.Sink,
        };
        if (Dense)
        {
            model = model with { Afrac = null };
            training = training with { Density = null, Pfrac = null };
        }

        training = Apply(training);
        if (Dense && (Density is not null || Pfrac is not null))
        {
            throw new BadInputException("train: --dense contradicts --density and --pfrac. Give one.");
        }

        model = model.Validated();
        return (model, training.Resolved(model));
    }
}
