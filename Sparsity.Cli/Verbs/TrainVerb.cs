using System.ComponentModel;
using System.Text.Json.Nodes;
using CommandLine;
using Sparsity.Cli.Mpi;
using Sparsity.Core;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli.Verbs;

[Verb("train")]
internal sealed class TrainVerb : TrainingFlags
{
    [Category("Data and folders")]
    [Option("data", MetaValue = "DIR", HelpText = "Data folder made by 'corpus'. With --resume: where it is now.")]
    public string? Data { get; set; }

    [Category("Data and folders")]
    [Option("out", MetaValue = "DIR", HelpText = "Run folder to make.")]
    public string? Out { get; set; }

    [Category("Data and folders")]
    [Option(
        "resume",
        MetaValue = "DIR",
        HelpText = "Run folder to continue, with the settings it has; takes only --data, --init, --tensorboard, --device, --threads and "
            + "--precision beside it."
    )]
    public string? Resume { get; set; }

    [Category("Model")]
    [Option(
        "init",
        MetaValue = "DIR",
        HelpText = "Run or released model whose weights to begin with; the model takes its shape. With --resume: where it is now."
    )]
    public string? Init { get; set; }

    [Category("Data and folders")]
    [Option(
        "config",
        MetaValue = "FILE",
        HelpText = "JSON file {\"model\": {official names}, \"training\": {...}}; flags below override it."
    )]
    public string? Config { get; set; }

    [Category("Model")]
    [Option("dense", HelpText = "An ordinary model: no weight sparsity, no AbsTopK.")]
    public bool Dense { get; set; }

    [Category("Model")]
    [Option("layers", HelpText = "Layers. (Default: {model.n_layer})")]
    public int? Layers { get; set; }

    [Category("Model")]
    [Option("d-model", HelpText = "Residual channels. (Default: {model.d_model})")]
    public int? DModel { get; set; }

    [Category("Model")]
    [Option("d-mlp", HelpText = "MLP neurons. (Default: 4 * d-model)")]
    public int? DMlp { get; set; }

    [Category("Model")]
    [Option("d-head", HelpText = "Channels of an attention head. (Default: {model.d_head})")]
    public int? DHead { get; set; }

    [Category("Model")]
    [Option("heads", HelpText = "Attention heads. (Default: d-model / d-head)")]
    public int? Heads { get; set; }

    [Category("Model")]
    [Option(
        "afrac",
        HelpText = "Share of channels that AbsTopK keeps, above 0 and at most 1. (Default: {model.afrac}; with --dense there is no AbsTopK)"
    )]
    public double? Afrac { get; set; }

    [Category("Model")]
    [Option("sink", HelpText = "Attention sinks.")]
    public bool Sink { get; set; }

    [Category("Data and folders")]
    [Option("dry-run", HelpText = "Only check the settings and estimate the memory of a GPU that the run takes; --out is not needed.")]
    public bool DryRun { get; set; }

    [Category("Course")]
    [Option("tensorboard", HelpText = "Also write the metrics as TensorBoard reads them, into the folder tensorboard of the run.")]
    public bool TensorBoard { get; set; }

    public override int Execute(CancellationToken stop)
    {
        if (Resume is not null)
        {
            TakesOnly(
                "train --resume, which goes on with the settings that the run has,",
                ["resume", "data", "init", "tensorboard", .. EngineFlags]
            );
        }

        MpiGroup? group = JoinGroup();
        using IComputeEngine engine = CreateEngine(group);
        if (Resume is not null)
        {
            return Continue(Resume, engine, group, stop);
        }

        if (Data is null || (Out is null && !DryRun))
        {
            throw new BadInputException("train needs --data DIR and --out DIR, or --resume DIR.");
        }

        DataFolder data = DataFolder.Open(Data);
        using StoredModel? initial = Init is null ? null : StoredModel.Open(Init);
        if (initial is not null)
        {
            Terminal.Lines(initial.Remarks);
        }

        (ModelConfig model, TrainingConfig training) = Settings(data, initial?.Config);
        if (!training.IsSparse() && !Dense)
        {
            Terminal.Line($"weights stay dense: {Config} sets pfrac or density to null; AbsTopK keeps {model.Afrac?.ToString() ?? "all"}");
        }

        if (DryRun && TensorBoard)
        {
            throw new BadInputException("train --dry-run trains nothing, so it does not use --tensorboard. Leave it out.");
        }

        UnusedTrainingFlags.Refuse(Given, training, group?.Size ?? 1);
        (training, MemoryEstimate memory) = RequireRoom(engine, model, training, group);
        if (Out is null || DryRun)
        {
            Terminal.Line(
                $"parameters and gradients {NumberText.Megabytes(memory.Parameters)}, moments {NumberText.Megabytes(memory.Moments)}, "
                    + $"activations {NumberText.Megabytes(memory.Activations)}, workspace {NumberText.Megabytes(memory.Workspace)}"
            );
            string free = engine.Memory is { } device
                ? $"; {NumberText.Megabytes(device.FreeBytes)} of {NumberText.Megabytes(device.TotalBytes)} are free"
                : "";
            Terminal.Line($"a GPU needs {NumberText.Megabytes(memory.Total)}{free}");
            return 0;
        }

        TrainingRun.RequireData(training, data.Training.Length, data.Validation.Length);
        using TrainingRun run = Run.Create(Out, new Trainer(engine, model, training, group), data, initial);
        double readings = (double)training.TotalTokens / data.Training.Length;
        if (readings >= 2)
        {
            Terminal.Line($"{data.Training.Length} tokens of text, each read about {readings:0} times");
        }

        return TrainingProgress.Run(run, stop, Events(run)) ? Finished(run) : Stopped(Out);
    }

    /// <summary>
    /// What the run needs, and its settings: where 'auto' asks for it, with the fewest parts of a batch that fit.
    /// </summary>
    /// <exception cref="BadInputException">There is less memory than that.</exception>
    internal (TrainingConfig Training, MemoryEstimate Memory) RequireRoom(
        IComputeEngine engine,
        ModelConfig model,
        TrainingConfig training,
        IProcessGroup? group
    )
    {
        var memory = MemoryEstimate.For(engine, model, training, group);

        // On the CPU the workspace is smaller, and the limit is what the machine, or the container, grants a process.
        (long needed, long present) = engine.Memory is { } device
            ? (memory.Total, device.FreeBytes)
            : (memory.Total - memory.Workspace, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if (needed <= present)
        {
            return (training, memory);
        }

        string wayOut = "Not even --batch-parts with one sequence each would fit: use a smaller --context or model";
        if (MemoryEstimate.InMoreParts(engine, model, training, present, group) is var (parts, smaller))
        {
            if (PartsFollowFromMemory)
            {
                Terminal.Line($"--batch-parts {parts}: the fewest that fit");
                return (training with { BatchParts = parts }, smaller);
            }

            wayOut = $"Use --batch-parts {parts}, which needs {NumberText.Megabytes(smaller.Total)}";
        }

        string free = engine.Memory is { } own
            ? $"{NumberText.Megabytes(present)} free of {NumberText.Megabytes(own.TotalBytes)}"
            : NumberText.Megabytes(present);
        throw new BadInputException($"The run needs {NumberText.Megabytes(needed)}, but {engine.Description} has {free}. {wayOut}.");
    }

    private int Continue(string directory, IComputeEngine engine, IProcessGroup? group, CancellationToken stop)
    {
        var folder = new RunFolder(directory);
        TrainingConfig training = folder.ReadRecord().Training;
        ModelConfig model = folder.ReadConfig();
        RequireRoom(engine, model, training.Resolved(model, folder.RunPath), group);
        using TrainingRun run = Run.Resume(directory, engine, Data, Init, group);
        return TrainingProgress.Resume(run, stop, Events(run)) ? Finished(run) : Stopped(directory);
    }

    private Action<TrainingMetrics>? Events(TrainingRun run) =>
        TensorBoard && !Terminal.IsSilent
            ? new TensorBoardEvents(Path.Combine(run.Folder.Directory, "tensorboard"), run.NextStep).Add
            : null;

    private static int Finished(TrainingRun run)
    {
        Terminal.Line($"written to {run.Folder.Directory}; the best bigram has a loss of {run.Folder.ReadRecord().BigramLoss:0.000}");
        return 0;
    }

    private static int Stopped(string directory)
    {
        Terminal.Line($"stopped; continue with: sparsity train --resume {directory}");
        return 0;
    }

    /// <summary>The model and its training, resolved.</summary>
    /// <param name="data">What it trains on.</param>
    /// <param name="initial">Shape of the model that it begins with; null for none.</param>
    /// <exception cref="BadInputException">A setting is out of range, or contradicts another or the data.</exception>
    internal (ModelConfig Model, TrainingConfig Training) Settings(DataFolder data, ModelConfig? initial)
    {
        ModelConfig model =
            (initial is null ? null : initial with { OtherFields = null }) ?? ModelConfig.Small(data.Tokenizer.VocabularySize);
        TrainingConfig training = TrainingConfig.Small;
        JsonObject fileModel = [],
            fileTraining = [];
        if (Config is not null)
        {
            JsonObject json = JsonText.ParseObject(JsonText.ReadAllText(Config), Config);
            foreach ((string name, _) in json)
            {
                if (name is not ("model" or "training"))
                {
                    throw new BadInputException($"{Config}: unknown field '{name}'; expected model and training.");
                }
            }

            fileModel = json["model"] is { } given ? JsonText.RequireObject(given, $"{Config}: model") : fileModel;
            fileTraining = json["training"] is { } settings ? JsonText.RequireObject(settings, $"{Config}: training") : fileTraining;
            model = model.With(fileModel, Config);
            // A file with "pfrac": null, as official scripts write it, asks for weights that stay dense; AbsTopK is another field.
            bool isSparse = (fileTraining["density"] ?? fileTraining["pfrac"]) is not null || Density is not null || Pfrac is not null;
            bool saysDense = (fileTraining.ContainsKey("density") || fileTraining.ContainsKey("pfrac")) && !isSparse;
            training = (Dense || saysDense ? TrainingConfig.SmallDense : training).With(fileTraining, Config);
        }
        else if (Dense)
        {
            training = TrainingConfig.SmallDense;
        }

        if (model.VocabSize < data.Tokenizer.VocabularySize)
        {
            throw new BadInputException(
                $"{Config ?? Init}: vocab_size is {model.VocabSize}, but the data folder's tokenizer has "
                    + $"{data.Tokenizer.VocabularySize} tokens. Raise vocab_size, or use other data."
            );
        }

        if (Dense && (fileTraining["density"] ?? fileTraining["pfrac"] ?? fileModel["afrac"]) is not null)
        {
            throw new BadInputException($"{Config}: density, pfrac and afrac contradict --dense. Leave it or them out.");
        }

        // What follows from another setting follows where neither file nor flag says it.
        int width = DModel ?? model.DModel;
        int head = DHead ?? model.DHead;
        bool isContextGiven = ContextTokens is not null || fileTraining.ContainsKey("context_tokens");
        bool isBlockGiven = fileModel.ContainsKey("block_size");
        if (isBlockGiven && !isContextGiven)
        {
            training = training with { ContextTokens = model.BlockSize };
        }

        int context = ContextTokens ?? training.ContextTokens;
        if (isBlockGiven && context > model.BlockSize)
        {
            throw new BadInputException(
                $"{Config}: block_size is {model.BlockSize}, but a sequence has {context} tokens (context_tokens, --context). Make it as "
                    + $"large at least."
            );
        }

        bool followsHeads = (DModel is not null || DHead is not null) && !fileModel.ContainsKey("n_head");
        model = model with
        {
            NLayer = Layers ?? model.NLayer,
            DModel = width,
            DMlpField = DMlp ?? (DModel is null || fileModel.ContainsKey("d_mlp") ? model.DMlp : 4 * width),
            DHeadField = head,
            NHead = Heads ?? (followsHeads ? width / Math.Max(head, 1) : model.NHead),
            BlockSize = Math.Max(model.BlockSize, context),
            Sink = Sink || model.Sink,
            Afrac = Afrac ?? model.Afrac,
        };
        if (Dense)
        {
            model = model with { Afrac = null };
            training = training with { Density = null, Pfrac = null };
        }

        training = Apply(training);
        if (Dense && (Density is not null || Pfrac is not null || Afrac is not null))
        {
            throw new BadInputException("train: --dense contradicts --density, --pfrac and --afrac. Leave it or them out.");
        }

        model = model.Validated();
        return (model, Config is null ? training.Resolved(model) : training.Resolved(model, $"{Config}, flags and defaults"));
    }
}
