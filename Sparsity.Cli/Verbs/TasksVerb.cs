using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

[Verb("tasks")]
internal sealed class TasksVerb : ModelVerb
{
    [Value(0, MetaName = "action", Required = true, HelpText = "list, show or eval.")]
    public string Action { get; set; } = "";

    [Value(1, MetaName = "TASK", HelpText = "Task names or JSON files of prompt pairs.")]
    public IEnumerable<string> Names { get; set; } = [];

    [Option("model", MetaValue = "DIR", HelpText = "Folder of a run or of a released model.")]
    public string? Model { get; set; }

    [Option("pairs", HelpText = "Pairs of prompts of each task. (Default: 128; of 'show' 20)")]
    public int? Pairs { get; set; }

    [Option("max-tokens", Default = 64, HelpText = "Longest prompt in tokens.")]
    public int MaxTokens { get; set; }

    [Option(
        "distractor-lines",
        Default = PromptTask.UsualDistractorLines,
        HelpText = "Most lines of other code before the statement that matters."
    )]
    public int DistractorLines { get; set; }

    [Option(
        "dilute",
        HelpText = "Makes the statement that matters longer by so many elements of a list (bracket_counting) or words "
            + "(single_double_quote)."
    )]
    public int? Dilute { get; set; }

    [Option("loss", Default = TaskLoss.Binary, HelpText = "Binary (between the two answers) or full (the right answer among all tokens).")]
    public TaskLoss Loss { get; set; }

    [Option("json", MetaValue = "FILE", HelpText = "File to write the results to as well.")]
    public string? Json { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Seed of the prompts.")]
    public ulong Seed { get; set; }

    /// <summary>What decides a task's answer, and how many shapes its prompts have.</summary>
    private sealed record Listed(string Task, string WhatDecides, int TrainTemplates, int TestTemplates);

    /// <summary>A pair of prompts; the own answers of the second where it has others than the first.</summary>
    private sealed record Shown(
        string Task,
        string Template,
        string First,
        string Second,
        string AnswerA,
        string AnswerB,
        string? SecondRight,
        string? SecondWrong
    );

    /// <summary>A model's loss in nats and accuracy on a task, or why it was skipped.</summary>
    private sealed record Result(string Task, double? Loss, double? Accuracy, string? Skipped);

    public override int Execute(CancellationToken stop)
    {
        TakesOnly("tasks " + Action, Manual.Flags("tasks", Action));
        RequireRange("--pairs", Pairs ?? 1, 1, 1_000_000);
        RequireRange("--max-tokens", MaxTokens, 2, 1_000_000);
        RequireRange("--distractor-lines", DistractorLines, 0, 1000);
        RequireRange("--dilute", Dilute ?? 0, 0, 1000);
        if (Action == "list" && Names.Any())
        {
            throw new BadInputException("tasks list takes no names; 'sparsity tasks show NAME' shows one.");
        }

        IReadOnlyList<PromptTask> tasks = Names.Any() ? [.. Names.Select(PromptTask.Find)] : TaskCatalogue.All;
        if (Given.Contains("distractor-lines") && tasks.All(task => task.File is not null))
        {
            throw new BadInputException(
                $"tasks {Action} does not use --distractor-lines: the prompts of files are taken as they are. Leave it out."
            );
        }

        if (Dilute is { } pieces)
        {
            tasks = Names.Any() ? tasks : [.. tasks.Where(task => task.CanBeDiluted)];
            tasks = [.. tasks.Select(task => task.Diluted(pieces))];
        }

        switch (Action)
        {
            case "list":
                Listed[] listed =
                [
                    .. TaskCatalogue.All.Select(task => new Listed(
                        task.Name,
                        task.Description,
                        task.TrainTemplates.Count,
                        task.TestTemplates.Count
                    )),
                ];
                Terminal.Table(
                    ["task", "what decides", "templates (train + test)"],
                    listed.Select(task => new[] { task.Task, task.WhatDecides, $"{task.TrainTemplates} + {task.TestTemplates}" })
                );
                Save(Json, listed);
                return 0;
            case "show" when !Names.Any():
                throw new BadInputException("tasks show needs the name of a task; 'sparsity tasks list' shows them.");
            case "show":
                Save(Json, tasks.SelectMany(Show).ToArray());
                return 0;
            default:
                Evaluate(tasks, stop);
                return 0;
        }
    }

    private static void RequireRange(string flag, int given, int least, int most)
    {
        if (given < least || given > most)
        {
            throw new BadInputException($"{flag} is {given}, but must be {least} to {most}.");
        }
    }

    private List<Shown> Show(PromptTask task)
    {
        var shown = new List<Shown>();
        var random = RandomSource.For(Seed, "show " + task.Name);
        for (int i = 0; i < (Pairs ?? 20); i++)
        {
            PromptPair pair = random.Pick(i % 2 == 0 ? task.TrainTemplates : task.TestTemplates)(random, DistractorLines);
            string template = i % 2 == 0 ? "train" : "test";
            string second = pair.OwnSecond is { } own
                ? $" not [{pair.AnswerB}]\n- and\n{pair.Second}[{own.A}] not [{own.B}]"
                : $"\n- against\n{pair.Second}[{pair.AnswerB}]";
            Terminal.Line($"--- {task.Name}, {template} template\n{pair.First}[{pair.AnswerA}]{second}");
            shown.Add(
                new Shown(task.Name, template, pair.First, pair.Second, pair.AnswerA, pair.AnswerB, pair.OwnSecond?.A, pair.OwnSecond?.B)
            );
        }

        return shown;
    }

    private void Evaluate(IReadOnlyList<PromptTask> tasks, CancellationToken stop)
    {
        if (Model is null)
        {
            throw new BadInputException("tasks eval needs --model DIR.");
        }

        using IComputeEngine engine = CreateEngine();
        using OpenedRun run = Open(Model, engine);
        run.RequireDataForTokenizer("tasks eval");
        int longest = Math.Min(MaxTokens, run.Model.Config.BlockSize);
        using var runner = new TaskRunner(run.Model, PruningMemory.PairsAtOnce(run.Model, longest, 32), longest);
        var results = new List<Result>();
        foreach (PromptTask task in tasks)
        {
            stop.ThrowIfCancellationRequested();
            if (!TokenizedTask.TryCreate(task, run.Tokenizer, longest, out TokenizedTask? tokenized, out string? reason, DistractorLines))
            {
                results.Add(new Result(task.Name, null, null, reason));
                continue;
            }

            IReadOnlyList<TokenizedPair> pairs = tokenized.Sample(TaskSplit.Test, Seed, Pairs ?? 128).Pairs;
            LogitDifferences differences = runner.AllDifferences(pairs);
            double loss = Loss == TaskLoss.Binary ? differences.BinaryLoss() : runner.MeanLoss(pairs, Loss);
            results.Add(new Result(task.Name, loss, differences.Accuracy(), null));
        }

        Terminal.Table(
            ["task", "loss (nats)", "accuracy"],
            results.Select(result =>
                new[]
                {
                    result.Task,
                    result.Loss is { } loss ? Terminal.Number(loss) : "skipped",
                    result.Accuracy is { } accuracy ? Terminal.Number(100 * accuracy, "0.0") + " %" : "",
                }
            )
        );
        double target = new Core.Circuits.PruningConfig().TargetLoss;
        Terminal.Line(
            $"{results.Count(result => result.Loss <= target)} of {results.Count(result => result.Loss is not null)} at or below "
                + $"{target}, the target of 'prune'"
        );
        Terminal.Lines(results.Where(result => result.Skipped is not null).Select(result => $"skipped: {result.Skipped}"));
        Save(Json, results);
    }
}
