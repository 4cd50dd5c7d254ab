using Sparsity.Cli.Viewer;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

/// <summary><c>demo --model</c>: the circuits that lie in a model's folder, one of them measured again, and a page to look at it.</summary>
internal static class ModelDemo
{
    private const string LabelsName = "labels.json";

    /// <param name="folder">Of the model; its circuits lie in it or below.</param>
    /// <param name="task">Whose circuit is shown; null for the solved one of fewest edges.</param>
    /// <param name="seed">Of the prompts that it is measured on.</param>
    /// <param name="directory">Folder to make.</param>
    /// <param name="open">Opens the model of a folder.</param>
    public static void Run(string folder, string? task, ulong seed, string directory, Func<string, OpenedRun> open)
    {
        using ModelShelf models = ModelShelf.At(open, folder);
        CircuitFile[] files =
        [
            .. new RunFiles(folder)
                .Circuits.Select(path => new CircuitFile("circuit", path))
                .Where(file => file.Summary.Sweep is null && models.Find(file.Load(), file) is not null)
                .OrderBy(file => file.Summary.Task, StringComparer.Ordinal),
        ];
        if (files.Length == 0)
        {
            throw new BadInputException(
                $"{folder}: holds no circuit of its model. 'sparsity prune --model {folder} --out DIR' finds some."
            );
        }

        Terminal.Table(
            ["circuit", "nodes", "edges", "loss", "full model", "target", "verdict"],
            files.Select(file =>
                new[]
                {
                    file.Summary.Task,
                    $"{file.Summary.Nodes}/{file.Summary.TotalNodes}",
                    $"{file.Summary.Edges}/{file.Summary.TotalEdges}",
                    Terminal.Number(file.Summary.Measurements.Loss),
                    Terminal.Number(file.Summary.Measurements.LossFullModel),
                    file.Summary.Solved == true ? "solved" : "missed",
                    Verdict(file),
                }
            )
        );
        CircuitFile shown =
            files.Where(file => task is null ? file.Summary.Solved == true : file.Summary.Task == task).MinBy(file => file.Summary.Edges)
            ?? throw new BadInputException(
                task is null
                    ? $"{folder}: none of its circuits meets its target. Name one with --task."
                    : $"{folder}: has no circuit of '{task}'.{Spelling.Suggestion(task, files.Select(file => file.Summary.Task))}"
            );
        Circuit circuit = shown.Load();
        Measure(circuit, models.Find(circuit, shown)!.Run, seed);

        string page = Path.Combine(OutputFolder.Create(directory), "circuit.html");
        string labels = Path.Combine(folder, LabelsName);
        ViewerContent content = ViewerContent.OfCircuit(
            shown.FilePath,
            File.Exists(labels) ? ViewerContent.ReadLabels(labels) : new Dictionary<string, string>()
        );
        AtomicFile.WriteText(
            page,
            ViewerPage.Render(content.Title, new ViewerDocuments(content, models, live: false).All, connects: false)
        );
        Terminal.Line($"open {page} in a browser to look at it");
    }

    private static string Verdict(CircuitFile file) =>
        file.Sibling("faithfulness.json") is { } path && Faithfulness.TryLoad(path) is { } report ? report.Verdict : "not asked";

    /// <summary>On prompts that the circuit was neither chosen nor measured on before.</summary>
    private static void Measure(Circuit circuit, OpenedRun run, ulong seed)
    {
        PruningConfig settings = circuit.SearchSettings;
        if (seed == settings.Seed)
        {
            throw new BadInputException($"--seed {seed} draws the prompts that the circuit was found on. Give another.");
        }

        using var pruning = TaskPruning.Create(PruningSubject.Of(run), TaskCatalogue.Find(circuit.Task), settings with { Seed = seed });
        NodeSet nodes = circuit.NodesIn(pruning.Evaluator.Layout);
        IReadOnlyList<TokenizedPair> pairs = pruning.Prompts.Test;
        TaskAnswers answers = TaskAnswers.Of(pruning.Evaluator.Masked, nodes.ToMask(), pairs, settings.CircuitLoss);
        Terminal.Line(
            $"{circuit.Task}, measured again on {pairs.Count} new pairs of prompts: loss {answers.Loss:0.000}, accuracy "
                + $"{100 * answers.Accuracy:0.0} %; full model {pruning.LossFullModel:0.000}, without the circuit "
                + $"{pruning.Evaluator.Loss(nodes.Complement(), pairs):0.000}"
        );
    }
}
