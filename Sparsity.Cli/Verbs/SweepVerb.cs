using System.Reflection;
using CommandLine;
using Sparsity.Cli.Report;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

[Verb("sweep")]
[ListsFlagsOf(typeof(TrainVerb), "out", "resume", "init", "dry-run", "tensorboard")]
internal sealed class SweepVerb : EngineVerb
{
    [Option("data", MetaValue = "DIR", HelpText = "Data folder made by 'corpus'.")]
    public string? Data { get; set; }

    [Option("out", MetaValue = "DIR", HelpText = "Folder to make or to go on with.")]
    public string? Out { get; set; }

    [Option("config", MetaValue = "FILE", HelpText = "JSON file of settings for all models, as 'train' takes it; the lists override it.")]
    public string? Config { get; set; }

    [Option(
        "prune",
        MetaValue = "TASK,...",
        Separator = ',',
        HelpText = "Names of tasks ('sparsity tasks list') to prune every model to, comma-separated. (Default: none)"
    )]
    public IEnumerable<string> Prune { get; set; } = [];

    [Option("target-loss", HelpText = "With --prune: task loss in nats that circuits must not exceed. (Default: {pruning.target_loss})")]
    public double? TargetLoss { get; set; }

    [Option(
        "shard",
        MetaValue = "i/n",
        HelpText = "i/n: make only the i-th of n shares of the models and their circuits, in a folder of its own below --out; 'merge' "
            + "joins them."
    )]
    public string? Shard { get; set; }

    [Option("list", HelpText = "Print the models that would be made, and make none; --out is not needed.")]
    public bool List { get; set; }

    private sealed record Settings(ModelConfig Model, TrainingConfig Training);

    public override int Execute(CancellationToken stop)
    {
        if (Data is null || (Out is null && !List))
        {
            throw new BadInputException("sweep needs --data DIR and --out DIR, or --list in place of the latter.");
        }

        if (TargetLoss is not null && !Prune.Any())
        {
            throw new BadInputException("sweep does not use --target-loss without --prune. Leave it out, or say what to prune to.");
        }

        DataFolder data = DataFolder.Open(Path.GetFullPath(Data));
        Shard? shard = Shard is null ? null : Core.Distributed.Shard.Parse(Shard);
        (SweepPlan asked, Dictionary<string, Settings> settings) = Plan(data, shard);
        shard?.RequireWork(asked.Models.Count);
        if (Out is null || List)
        {
            Print(asked);
            return 0;
        }

        ReproductionStages.CarryOut(this, Out, asked, SweepPlan.Load, (plan, stages) => Make(plan, settings, stages), Finish, stop);
        return 0;
    }

    private static void Finish(SweepPlan plan, ReproductionStages stages, string folder)
    {
        var result = SweepResult.Of(plan, stages.Models, stages.Diverged, stages.Circuits);
        AtomicFile.WriteText(Path.Combine(folder, "result.json"), JsonText.Write(result));
        AtomicFile.WriteText(Path.Combine(folder, "result.html"), SweepPage.Render(result));
        Terminal.Table(SweepTable.Headings(result), SweepTable.Rows(result));
        Terminal.Line($"written to {Path.Combine(folder, "result.html")}");
    }

    private static void Make(SweepPlan plan, Dictionary<string, Settings> settings, ReproductionStages stages)
    {
        foreach (PlannedModel planned in plan.OwnModels)
        {
            Settings of = settings[planned.Name];
            MeasuredModel? model = stages.TrainOrDiverge(planned, of.Model, of.Training);
            if (model is not null && plan.Tasks.Count > 0)
            {
                stages.Prune(model, PruningMethod.Mask);
            }
        }
    }

    /// <summary>The plan of what was given, and the settings of each of its models by name.</summary>
    /// <exception cref="BadInputException">Nothing varies, two models are the same, or the settings of one cannot be trained.</exception>
    private (SweepPlan Plan, Dictionary<string, Settings> Settings) Plan(DataFolder data, Shard? shard)
    {
        SweepFlag[] flags = [.. Lists.Select(list => new SweepFlag(list.Flag, list.Values))];
        SweepFlag[] fixedFlags = [.. flags.Where(flag => flag.Values.Count == 1)],
            varying = [.. flags.Except(fixedFlags)];
        if (varying.Length == 0)
        {
            throw new BadInputException("sweep needs a list of values for a flag of 'train', such as --lr 0.01,0.03.");
        }

        using IComputeEngine engine = CreateEngine(Threads);
        var settings = new Dictionary<string, Settings>();
        var names = new Dictionary<string, string>();
        var models = new List<PlannedModel>();
        foreach (IReadOnlyDictionary<string, string> values in SweepPlan.Combinations(varying))
        {
            TrainVerb train = Train([.. fixedFlags.Select(flag => KeyValuePair.Create(flag.Flag, flag.Values[0])), .. values]);
            string name = SweepTable.NameOf(values);
            try
            {
                (ModelConfig model, TrainingConfig training) = train.Settings(data, initial: null);
                UnusedTrainingFlags.Refuse(train.Given, training, processes: 1);
                TrainingRun.RequireData(training, data.Training.Length, data.Validation.Length);
                (training, _) = train.RequireRoom(engine, model, training, group: null); // and for the sparsity that is asked for
                double? density = training.Pfrac / (training.ExpansionFactor * training.ExpansionFactorMlp);
                models.Add(
                    new PlannedModel(
                        model.NLayer,
                        model.DModel,
                        density is { } share ? Math.Min(1, share) : null,
                        training.TotalTokens,
                        training.Seed
                    )
                    {
                        Values = values,
                    }
                );
                settings[models[^1].Name] = new Settings(model, training);
                string same = JsonText.WriteLine(training) + model.ToJson();
                if (!names.TryAdd(same, name))
                {
                    throw new BadInputException($"is the same model as {names[same]}. Give each value once.");
                }
            }
            catch (BadInputException e)
            {
                throw new BadInputException($"sweep, the model of {name}: {e.Message}", e);
            }
        }

        string[] tasks = [.. Prune.Select(task => TaskCatalogue.Find(task).Name)];
        if (tasks.Distinct().Count() < tasks.Length)
        {
            throw new BadInputException($"--prune: {tasks.GroupBy(task => task).First(group => group.Count() > 1).Key} is given twice.");
        }

        PruningConfig pruning = new PruningConfig { NodeDetails = false };
        pruning = (pruning with { TargetLoss = TargetLoss ?? pruning.TargetLoss }).Validated("sweep");
        var plan = new SweepPlan
        {
            Version = Assembly.GetExecutingAssembly().GetName().Version!.ToString(3),
            Data = data.Directory,
            DataFingerprint = data.Fingerprint(),
            Flags = flags,
            Config = Config is null ? null : Path.GetFullPath(Config),
            Models = models,
            Shard = shard,
            Tasks = tasks,
            TargetLosses = tasks.Length == 0 ? [] : [pruning.TargetLoss],
            Pruning = pruning,
        };
        return (plan, settings);
    }

    /// <summary>What 'train' would read with these values.</summary>
    private TrainVerb Train(IReadOnlyList<KeyValuePair<string, string>> values)
    {
        Dictionary<string, PropertyInfo> flags = Arguments.ListedFlags(typeof(SweepVerb));
        string[] arguments =
        [
            "train",
            .. Config is null ? [] : (string[])[$"--config={Config}"],
            .. values
                .Where(value => !IsSwitch(value.Key) || IsOn(value.Value))
                .Select(value => IsSwitch(value.Key) ? $"--{value.Key}" : $"--{value.Key}={value.Value}"),
        ];
        var read = new Arguments(arguments, typeof(TrainVerb));
        using Parser parser = Arguments.CreateParser();
        TrainVerb train = parser.ParseArguments<TrainVerb>(read.Canonical).Value;
        train.Given = read.Given;
        return train;

        bool IsSwitch(string flag) => flags[flag].PropertyType == typeof(bool);

        static bool IsOn(string value) => value.Equals("true", StringComparison.OrdinalIgnoreCase);
    }

    private static void Print(SweepPlan plan)
    {
        Terminal.Table(
            [.. plan.Models[0].Values!.Keys, "layers", "width", "density", "tokens"],
            plan.OwnModels.Select(model =>
                (string[])
                    [
                        .. model.Values!.Values,
                        $"{model.Layers}",
                        $"{model.Width}",
                        model.Density is { } density ? Terminal.Number(density, "0.######") : "dense",
                        Terminal.Number(model.Tokens, "#,0"),
                    ]
            )
        );
        double minutes = plan.OwnModels.Sum(model =>
            ReproductionCost.TrainingMinutes(model) + (plan.Tasks.Count == 0 ? 0 : ReproductionCost.PruningMinutes(model, plan))
        );
        Terminal.Line($"{plan.OwnModels.Count} models, about {minutes:0.0} minutes on two cores");
    }
}
