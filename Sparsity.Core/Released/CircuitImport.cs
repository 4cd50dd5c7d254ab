using System.Globalization;
using System.Text.RegularExpressions;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Released;

/// <summary>Pretraining text to measure mean activations on.</summary>
/// <param name="Name">For the record.</param>
/// <param name="ContextTokens">T of the windows.</param>
internal sealed record PretrainingText(string Name, ReadOnlyMemory<ushort> Tokens, int ContextTokens);

/// <summary>
/// Turns released circuits into circuits of this program: edges from the model's weights, losses measured again, effects as the file has
/// them, and what the file leaves open
/// decided and written down.
/// </summary>
/// <param name="modelName">For the record.</param>
/// <param name="model">Frozen.</param>
/// <param name="tokenizer">The model's; null where it has none: then only logits can tell the answers.</param>
internal sealed partial class CircuitImport(string modelName, Transformer model, TextTokenizer? tokenizer)
{
    /// <summary>What the files of the release are called.</summary>
    public const string FileName = "viz_data.pt";

    private const int RandomCircuits = 5; // the control of PruningConfig
    private const int PairsForAnswers = 64;
    private const ulong Seed = 1;

    private readonly Dictionary<bool, float[]> _measuredMeans = [];

    /// <summary>The two answers, where they are given: right after prompts of the first half, and of the second.</summary>
    public (int A, int B)? Answers { get; init; }

    /// <summary>The task's name in place of the folder's.</summary>
    public string? Task { get; init; }

    /// <summary>File of mean activations, in place of the one in the folders above.</summary>
    public string? Means { get; init; }

    /// <summary>Text to measure means on, in place of any file of them.</summary>
    public PretrainingText? Text { get; init; }

    /// <summary>Released circuits in a folder and those below, in order.</summary>
    /// <exception cref="BadInputException">There are none.</exception>
    public static IReadOnlyList<string> FilesIn(string directory)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true };
        string[] files = [.. Directory.EnumerateFiles(directory, FileName, options).Order(StringComparer.Ordinal)];
        return files.Length > 0
            ? files
            : throw new BadInputException(
                $"{directory}: holds no {FileName}, in it or below. Give the folder of a task, of a sweep, or one file."
            );
    }

    /// <summary>
    /// The name of a task without the endings that the release's folders have: single_double_quote_beeg3 is single_double_quote.
    /// </summary>
    public static string TaskName(string folder) => Suffix().Replace(folder, "");

    /// <summary>Reads a file and measures its circuit.</summary>
    /// <exception cref="BadInputException">It is damaged, belongs to another model, or its answers are not known.</exception>
    public (Circuit Circuit, CircuitInputs Inputs) Import(string path)
    {
        ReleasedCircuit released = ReleasedCircuitReader.Read(path, model.Config);
        (string taskFolder, string? sweep, string? k) = PlaceOf(path);
        string task = Task ?? TaskName(taskFolder);
        int half = released.Prompts.Count / 2;
        var logits = new AnswerSearch(model, released.Prompts);
        (int a, int b, string answers) = FindAnswers(released, task, logits);
        (float[] means, string meansFrom) = FindMeans(path, released);
        var inputs = new CircuitInputs(
            [.. Enumerable.Range(0, half).Select(i => new TokenizedPair(released.Prompts[i], released.Prompts[i + half], a, b))],
            means
        );
        var imported = new ImportedCircuit
        {
            Source = path,
            Task = Task ?? taskFolder,
            Sweep = sweep,
            K = k,
            FinalResid = released.FinalResid,
            StoredLossFullModel = released.Loss / ReleasedCircuit.LossUnit,
            StoredLoss = released.CircuitLoss / ReleasedCircuit.LossUnit,
            StoredTotalNodes = released.TotalNodes,
            Prompts = string.Create(CultureInfo.InvariantCulture, $"all {2 * half} rows of task_samples"),
            Answers = answers,
            Means = meansFrom,
            LayerLosses = released.LayerLosses,
            LocationLosses = released.LocationLosses,
            Rounds = [.. released.Rounds.Select(round => new ImportedRound(round.Round, round.Loss / ReleasedCircuit.LossUnit))],
            Settings = released.Settings,
        };
        Circuit circuit = Measure(task, imported, inputs, released.Nodes, withDetails: false);
        return (WithStoredEffects(circuit, released), inputs);
    }

    /// <summary>
    /// An imported circuit without some of its nodes; effects are measured anew. What fed only them stays, as the release's circuits have
    /// such nodes anyway.
    /// </summary>
    /// <exception cref="BadInputException">The circuit is not an imported one.</exception>
    public Circuit WithoutNodes(Circuit circuit, CircuitInputs inputs, IReadOnlyList<Node> removed)
    {
        ImportedCircuit imported = circuit.Imported ?? throw new BadInputException($"the circuit of {circuit.Task} was not imported.");
        Circuit edited = Measure(
            circuit.Task,
            imported with
            {
                StoredLoss = null,
            },
            inputs,
            circuit.Nodes.Select(node => node.Node).Except(removed),
            withDetails: true
        );
        return edited with { RemovedByHand = [.. circuit.RemovedByHand, .. removed] };
    }

    /// <summary>Task, sweep and k by the folders: TASK/SWEEP/K/viz_data.pt, where K is a number or k_optim.</summary>
    private static (string Task, string? Sweep, string? K) PlaceOf(string path)
    {
        string[] folders =
        [
            .. Path.GetFullPath(path).Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).SkipLast(1).TakeLast(3),
        ];
        return folders is [var task, var sweep, var k] && (k == "k_optim" || k.All(char.IsAsciiDigit))
            ? (task, sweep, k)
            : (folders.LastOrDefault() ?? "unknown", null, null);
    }

    private Circuit Measure(string task, ImportedCircuit imported, CircuitInputs inputs, IEnumerable<Node> nodes, bool withDetails)
    {
        var config = new PruningConfig
        {
            Seed = Seed,
            MaxTokens = Math.Max(2, inputs.LongestPrompt),
            SelectionPairs = 1,
            TestPairs = inputs.Pairs.Count,
            RandomCircuits = RandomCircuits,
            FinalResid = imported.FinalResid,
            NodeDetails = withDetails,
        };
        using var evaluator = new CircuitEvaluator(model, inputs.Means, config);
        var kept = NodeSet.Of(evaluator.Layout, nodes);
        Circuit circuit = evaluator.Describe(kept, null, task, modelName, tokenizer, new TaskPrompts([], [], inputs.Pairs));
        return circuit with { Settings = null, Imported = imported };
    }

    /// <summary>Effects per node and edge as differences in nats per prompt.</summary>
    private static Circuit WithStoredEffects(Circuit circuit, ReleasedCircuit released)
    {
        return circuit with
        {
            Nodes =
            [
                .. circuit.Nodes.Select(node =>
                    node with
                    {
                        AblationEffect = released.NodeLosses.TryGetValue(node.Node, out double loss)
                            ? (loss - released.CircuitLoss) / ReleasedCircuit.LossUnit
                            : null,
                    }
                ),
            ],
            Edges =
            [
                .. circuit.Edges.Select(edge =>
                    edge with
                    {
                        Effect = released.EdgeEffects.TryGetValue((edge.From, edge.To), out double effect)
                            ? effect / ReleasedCircuit.LossUnit
                            : null,
                    }
                ),
            ],
        };
    }

    private (int A, int B, string Source) FindAnswers(ReleasedCircuit released, string task, AnswerSearch logits)
    {
        double stored = released.Loss / ReleasedCircuit.LossUnit;
        if (Answers is { } given)
        {
            return (given.A, given.B, $"{Pair(given)}, as given");
        }

        (int A, int B)? named = AnswersByName(task, logits, stored);
        if (named is { } known && Fits(known))
        {
            return (known.A, known.B, $"{Pair(known)}, those of the task {task}");
        }

        if (logits.Find(stored) is { } found)
        {
            return (found.A, found.B, $"{Pair(found)}, found from the logits: with them the whole model has the loss that the file says");
        }

        if (named is { } unfit)
        {
            return (
                unfit.A,
                unfit.B,
                $"{Pair(unfit)}, those of the task {task}; with no answers the whole model has the loss that the file says"
            );
        }

        (int a, int b) = logits.Likeliest();
        throw new BadInputException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{released.Path}: its answers are not known: {task} is no task of this program, and with no pair of tokens the whole "
                    + $"model's loss is the file's {stored:0.000000}. "
                    + $"Give its two answers; the model's own most common answers are {a},{b}."
            )
        );

        bool Fits((int A, int B) pair) => Math.Abs(logits.Loss(pair.A, pair.B) - stored) <= AnswerSearch.Tolerance(stored);

        string Pair((int A, int B) pair) => $"{Describe(pair.A)} and {Describe(pair.B)}";

        string Describe(int token) => tokenizer is null ? $"token {token}" : $"{tokenizer.Describe(token)} ({token})";
    }

    /// <summary>
    /// The answers of the program's own task of that name, the right way round; null where there is none, or the tokenizer cannot pose it.
    /// </summary>
    private (int A, int B)? AnswersByName(string name, AnswerSearch logits, double stored)
    {
        if (
            tokenizer is null
            || TaskCatalogue.All.FirstOrDefault(task => task.Name == name) is not { } task
            || !TokenizedTask.TryCreate(task, tokenizer, model.Config.BlockSize, out TokenizedTask? tokenized, out _)
        )
        {
            return null;
        }

        (int a, int b) = tokenized
            .Sample(TaskSplit.Train, Seed, PairsForAnswers)
            .Pairs.GroupBy(pair => (pair.AnswerA, pair.AnswerB))
            .MaxBy(group => group.Count())!
            .Key;
        return Math.Abs(logits.Loss(a, b) - stored) <= Math.Abs(logits.Loss(b, a) - stored) ? (a, b) : (b, a);
    }

    private (float[] Means, string Source) FindMeans(string path, ReleasedCircuit released)
    {
        var layout = new NodeLayout(model.Config, released.FinalResid);
        if (Text is not null)
        {
            if (!_measuredMeans.TryGetValue(released.FinalResid, out float[]? means))
            {
                means = MeanActivations.Measure(model, layout, Text.Tokens, Text.ContextTokens, new PruningConfig().MeanBatches, Seed);
                _measuredMeans[released.FinalResid] = means;
            }

            return (means, $"means measured on {Text.Name}");
        }

        return (Means ?? ReleasedMeans.FindAbove(path)) is { } file
            ? (ReleasedMeans.Read(file, layout), $"means from {file}")
            : (
                new float[layout.Count],
                $"zero: there is no {ReleasedMeans.FileName} above the file and no data folder; the release freezes at means, so "
                    + $"losses will differ"
            );
    }

    [GeneratedRegex(@"(_beeg\d*)+$")]
    private static partial Regex Suffix();
}
