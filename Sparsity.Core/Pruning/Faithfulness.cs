using System.Globalization;
using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// faithfulness.json: whether a circuit is what the model does, or what a flexible enough search finds anywhere. A search can reach a low
/// loss with nodes that do something else in the whole model, and on tasks that the model does not do. So the circuit is compared with the
/// model on the same prompts, node by node and in its answers; and the same search runs on what has no circuit, and the sizes are compared.
/// </summary>
internal sealed record Faithfulness
{
    private const int InterchangeOrders = 8;
    private const int MostPairs = 64;

    public int FormatVersion { get; init; } = FileFormat.Version;

    public required string Task { get; init; }

    public required string Model { get; init; }

    public required double TargetLoss { get; init; }

    public required int Nodes { get; init; }

    public required int Edges { get; init; }

    /// <summary>What circuit.json says.</summary>
    public required CircuitMeasurements Circuit { get; init; }

    /// <summary>Where circuits were asked to survive interchange: the smallest without that; null where not asked.</summary>
    public MeasuredSize? Smallest { get; init; }

    /// <summary>Divergence of the circuit's answers from the full model's, on test prompts.</summary>
    public required double Divergence { get; init; }

    public required InterchangeCurves Interchange { get; init; }

    public required PartialAblation PartialAblation { get; init; }

    /// <summary>
    /// The same search on what has no circuit: the prompts with inverted answers and with the answers of another task, the model with
    /// random and with permuted weights.
    /// </summary>
    public required IReadOnlyList<ControlSearch> Controls { get; init; }

    /// <summary>Nodes ranked by attribution and by integrated gradients in place of mask training.</summary>
    public required IReadOnlyList<ControlSearch> Baselines { get; init; }

    /// <summary>
    /// Loss of the circuit with the other nodes frozen at zero in place of their means (or at their means in place of zero).
    /// </summary>
    public required double LossOtherAblation { get; init; }

    public required IReadOnlyList<FaithfulnessCheck> Checks { get; init; }

    /// <summary>Whether every check passed.</summary>
    public required bool IsReal { get; init; }

    /// <summary>One line for readers.</summary>
    public required string Verdict { get; init; }

    /// <summary>Runs every control; takes four to six times as long as the search itself.</summary>
    /// <param name="subject">The model.</param>
    /// <param name="task">The task.</param>
    /// <param name="circuit">Found by mask training with its settings.</param>
    /// <param name="progress">Called now and then with the control's name.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public static Faithfulness Measure(
        PruningSubject subject,
        PromptTask task,
        Circuit circuit,
        Action<string, PruningProgress>? progress = null,
        CancellationToken stop = default
    )
    {
        PruningConfig config = circuit.SearchSettings;
        using var pruning = TaskPruning.Create(subject, task, config);
        CircuitEvaluator evaluator = pruning.Evaluator;
        NodeSet nodes = circuit.NodesIn(evaluator.Layout);
        IReadOnlyList<TokenizedPair> test = pruning.Prompts.Test;
        double divergence = evaluator.Differences(nodes, test).DivergenceFrom(evaluator.Differences(NodeSet.All(evaluator.Layout), test));
        InterchangeCurves curves;
        using (var interchange = new Interchange(evaluator, [.. test.Take(MostPairs)], InterchangeOrders, "interchange"))
        {
            curves = interchange.Measure(nodes);
        }

        var partial = PartialAblation.Measure(evaluator, nodes, test);
        double lossOther;
        Ablation other = config.Ablation == Ablation.Mean ? Ablation.Zero : Ablation.Mean;
        using (var withOther = new CircuitEvaluator(subject.Model, evaluator.Means, evaluator.Config with { Ablation = other }))
        {
            lossOther = withOther.Loss(nodes, test);
        }

        // Smallest against smallest: no control is asked to survive interchange.
        int edges = circuit.Smallest?.Edges ?? circuit.Edges.Count;
        PruningConfig plain = config with { InterchangeFactor = 0, Method = PruningMethod.Mask };
        var controls = new List<ControlSearch>();
        foreach ((string name, Func<TokenizedPair, TokenizedPair> change) in OtherAnswers(subject, pruning, task, config.Seed))
        {
            using TaskPruning changed = pruning.WithAnswers(change, plain);
            controls.Add(Searched(changed, name));
        }

        foreach (
            (string name, Func<ModelParameters, ulong, ModelParameters> change) in new[]
            {
                ("random weights", (Func<ModelParameters, ulong, ModelParameters>)ControlModel.WithRandomWeights),
                ("permuted weights", ControlModel.WithPermutedWeights),
            }
        )
        {
            using ModelParameters parameters = change(subject.Model.Parameters, config.Seed);
            using var changed = TaskPruning.Create(subject.With(name, new Transformer(parameters)), task, plain);
            controls.Add(Searched(changed, name));
        }

        ControlSearch[] baselines =
        [
            Baseline("attribution", PruningMethod.Attribution),
            Baseline("integrated gradients", PruningMethod.Integrated),
        ];

        FaithfulnessCheck[] checks = [.. OfCircuit(circuit, divergence, curves, partial), OfControls(controls, edges)];
        FaithfulnessCheck[] failed = [.. checks.Where(check => !check.Passed)];
        return new Faithfulness
        {
            Task = circuit.Task,
            Model = circuit.Model,
            TargetLoss = config.TargetLoss,
            Nodes = circuit.Nodes.Count,
            Edges = circuit.Edges.Count,
            Circuit = circuit.Measurements,
            Smallest = circuit.Smallest,
            Divergence = divergence,
            Interchange = curves,
            PartialAblation = partial,
            Controls = controls,
            Baselines = baselines,
            LossOtherAblation = lossOther,
            Checks = checks,
            IsReal = failed.Length == 0,
            Verdict =
                failed.Length == 0
                    ? Line($"real: {circuit.Edges.Count} edges reach {circuit.JudgedLoss:0.000}, ")
                        + Line($"without them {circuit.Measurements.LossWithoutCircuit:0.000}; {checks[^1].Numbers}; ")
                        + Line($"interchange raises the loss by at most {curves.LargestRise:0.000}")
                    : "doubtful: " + string.Join("; ", failed.Select(check => $"{check.Question}? no ({check.Numbers})")),
        };

        ControlSearch Baseline(string name, PruningMethod method) =>
            Control(pruning, name, Attribution.Choose(evaluator, pruning.Prompts.Selection, [config.TargetLoss], method)[0]);

        ControlSearch Searched(TaskPruning searched, string name)
        {
            using var search = new CircuitSearch(searched.Evaluator);
            IReadOnlyList<TrainedMask> masks = search.TrainMasks(
                searched.Prompts.Training,
                null,
                step => progress?.Invoke(name, step),
                stop
            );
            return Control(searched, name, search.Choose(masks, searched.Prompts.Selection, config.TargetLoss));
        }

        ControlSearch Control(TaskPruning searched, string name, ChosenNodes chosen)
        {
            MeasuredSize size = searched.Evaluator.SizeOf(chosen.Smallest ?? chosen.Nodes, searched.Prompts);
            return new ControlSearch(
                name,
                chosen.PassesSelection && size.Loss <= config.TargetLoss,
                size.Nodes,
                size.Edges,
                size.Loss,
                searched.LossFullModel,
                edges == 0 ? null : (double)size.Edges / edges
            );
        }
    }

    /// <summary>What is asked of the circuit itself.</summary>
    public static IReadOnlyList<FaithfulnessCheck> OfCircuit(
        Circuit circuit,
        double divergence,
        InterchangeCurves curves,
        PartialAblation partial
    )
    {
        PruningConfig config = circuit.SearchSettings;
        CircuitMeasurements m = circuit.Measurements;
        double rise = config.TargetLoss; // above the larger loss of circuit and model
        return
        [
            new(
                "does the whole model do the task",
                m.LossFullModel <= config.TargetLoss,
                Line($"loss {m.LossFullModel:0.000}, target {config.TargetLoss}")
            ),
            new(
                "does the circuit do the task",
                circuit.Solved == true,
                Line($"loss {circuit.JudgedLoss:0.000}, target {config.TargetLoss}")
                    + (circuit.Shortcoming is { Length: > 0 } why ? $": {why}" : "")
            ),
            new(
                "does the model need it",
                m.LossWithoutCircuit >= config.NecessityLoss,
                Line($"loss without it {m.LossWithoutCircuit:0.000}, should be {config.NecessityLoss} or more")
            ),
            new(
                "does it answer as the model does",
                divergence <= config.TargetLoss,
                Line($"divergence from the model's answers {divergence:0.000}, should be {config.TargetLoss} or less")
            ),
            new("does it work with the model's activations", curves.RiseWithModelValues <= rise, Rise(curves.RiseWithModelValues)),
            new("does the model work with its activations", curves.RiseWithCircuitValues <= rise, Rise(curves.RiseWithCircuitValues)),
            new(
                "do mixtures of both work",
                curves.RiseOfMixtures <= rise,
                Rise(curves.RiseOfMixtures) + Line($"; 9 of 10 orders stay below {curves.RiseOfMixturesHigh:0.000}")
            ),
            new(
                "does it work with any part of the rest",
                partial.LossOfParts - curves.Baseline <= rise,
                Rise(partial.LossOfParts - curves.Baseline)
                    + Line($"; 9 of 10 parts stay below {partial.LossOfPartsHigh - curves.Baseline:0.000}")
            ),
            new(
                "can the model do without any one node of the rest",
                partial.LossWithoutOne - curves.Baseline <= rise,
                Rise(partial.LossWithoutOne - curves.Baseline) + (partial.WithoutOne is { } node ? $" without {node}" : "")
            ),
        ];

        string Rise(double value) => Line($"the loss rises by {value:0.000}, should be {rise} or less");
    }

    /// <summary>Reads faithfulness.json; null for one of an earlier version, which asked other questions.</summary>
    /// <exception cref="BadInputException">It is missing or damaged.</exception>
    public static Faithfulness? TryLoad(string path)
    {
        JsonObject fields = JsonText.ParseFile(path);
        return fields.ContainsKey("partial_ablation") || !fields.ContainsKey("shuffled_labels")
            ? JsonText.Read<Faithfulness>(fields, path)
            : null;
    }

    /// <summary>Writes faithfulness.json.</summary>
    public void WriteTo(string directory) => AtomicFile.WriteText(Path.Combine(directory, "faithfulness.json"), JsonText.Write(this));

    /// <summary>Whether the search needs more edges for nonsense than for the circuit, or finds nothing.</summary>
    private static FaithfulnessCheck OfControls(IReadOnlyList<ControlSearch> controls, int edges)
    {
        ControlSearch[] met = [.. controls.Where(control => control.MeetsTarget)];
        return new(
            "does nonsense take more edges",
            met.All(control => control.Edges > edges),
            met.Length == 0
                ? "nothing found for nonsense"
                : string.Join(", ", met.Select(control => Line($"{control.Name} {control.Edges} against {edges} edges")))
        );
    }

    /// <summary>
    /// Answers that the model was not trained for, by name: right and wrong exchanged; and, of tasks that pose pairs, the two answers of
    /// another task, or two other tokens where the tokenizer has no answers of one.
    /// </summary>
    private static IEnumerable<(string Name, Func<TokenizedPair, TokenizedPair> Change)> OtherAnswers(
        PruningSubject subject,
        TaskPruning pruning,
        PromptTask task,
        ulong seed
    )
    {
        yield return ("inverted answers", pair => pair.WithAnswersExchanged());
        TokenizedPair[] all = [.. pruning.Prompts.Training, .. pruning.Prompts.Selection, .. pruning.Prompts.Test];
        if (!task.IsPaired)
        {
            yield break;
        }

        HashSet<int> own = [.. all.SelectMany(pair => new[] { pair.AnswerA, pair.AnswerB })];
        var random = RandomSource.For(seed, "answers of another task");
        PromptTask[] others = [.. TaskCatalogue.All.Where(other => other.Name != task.Name)];
        random.Shuffle<PromptTask>(others);
        foreach (PromptTask other in others)
        {
            PromptPair drawn = other.Draw(TaskSplit.Train, random);
            if (
                subject.Tokenizer.TryGetSingleToken(drawn.AnswerA, out int a)
                && subject.Tokenizer.TryGetSingleToken(drawn.AnswerB, out int b)
                && a != b
                && !own.Contains(a)
                && !own.Contains(b)
            )
            {
                yield return ($"answers of {other.Name}", pair => pair with { AnswerA = a, AnswerB = b });
                yield break;
            }
        }

        int[] tokens = [.. Enumerable.Range(0, subject.Tokenizer.VocabularySize).Except(own)];
        random.Shuffle<int>(tokens);
        if (tokens.Length >= 2)
        {
            yield return ("other tokens as answers", pair => pair with { AnswerA = tokens[0], AnswerB = tokens[1] });
        }
    }

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
