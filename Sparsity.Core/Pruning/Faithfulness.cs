using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// faithfulness.json: whether a circuit is what the model does, or what a flexible enough search finds anywhere. Pruned circuits can reach
/// a low loss on a nonsensical task or a random model; so the same search runs on both, and activations are interchanged between the
/// circuit and the full model.
/// </summary>
internal sealed record Faithfulness
{
    /// <summary>How far above the target the interchange curves may rise.</summary>
    private const double InterchangeFactor = 2;

    public int FormatVersion { get; init; } = FileFormat.Version;

    public required string Task { get; init; }

    public required string Model { get; init; }

    public required double TargetLoss { get; init; }

    public required int Nodes { get; init; }

    public required int Edges { get; init; }

    /// <summary>What circuit.json says.</summary>
    public required CircuitMeasurements Circuit { get; init; }

    /// <summary>On a model with fresh random weights, as many nonzero in each matrix.</summary>
    public required ControlSearch RandomModel { get; init; }

    /// <summary>On the same prompts with the two answers exchanged in a random half of the pairs.</summary>
    public required ControlSearch ShuffledLabels { get; init; }

    /// <summary>Nodes ranked by attribution in place of mask training.</summary>
    public required ControlSearch Attribution { get; init; }

    public required InterchangeCurves Interchange { get; init; }

    /// <summary>
    /// Loss of the circuit with the other nodes frozen at zero in place of their means (or at their means in place of zero).
    /// </summary>
    public required double LossOtherAblation { get; init; }

    public required IReadOnlyList<FaithfulnessCheck> Checks { get; init; }

    /// <summary>Whether every check passed.</summary>
    public required bool IsReal { get; init; }

    /// <summary>One line for readers.</summary>
    public required string Verdict { get; init; }

    /// <summary>Runs every control; takes about three times as long as the search itself.</summary>
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
        NodeSet nodes = circuit.NodesIn(pruning.Evaluator.Layout);
        IReadOnlyList<TokenizedPair> pairs = [.. pruning.Prompts.Test.Take(64)];
        InterchangeCurves interchange = InterchangeCurves.Measure(pruning.Evaluator, nodes, pairs);
        ControlSearch attribution = Control(
            pruning,
            Pruning.Attribution.Choose(pruning.Evaluator, pruning.Prompts.Selection, config.TargetLoss)
        );
        Ablation other = config.Ablation == Ablation.Mean ? Ablation.Zero : Ablation.Mean;
        double lossOther;
        using (
            var evaluator = new CircuitEvaluator(subject.Model, pruning.Evaluator.Means, pruning.Evaluator.Config with { Ablation = other })
        )
        {
            lossOther = evaluator.Loss(nodes, pruning.Prompts.Test);
        }

        using TaskPruning shuffled = pruning.WithShuffledLabels();
        ControlSearch shuffledLabels = Search(shuffled, "shuffled labels");
        using ModelParameters random = RandomLike(subject.Model.Parameters, config.Seed);
        using var onRandom = TaskPruning.Create(subject.With("random model", new Transformer(random)), task, config);
        ControlSearch randomModel = Search(onRandom, "random model");

        CircuitMeasurements m = circuit.Measurements;
        double worst = interchange.FullIntoCircuit.Concat(interchange.CircuitIntoFull).Max(point => point.Loss);
        FaithfulnessCheck[] checks =
        [
            new("is the task done by the circuit", circuit.Solved == true, Line($"loss {m.Loss:0.000}, target {config.TargetLoss}")),
            new(
                "does the model need it",
                m.LossWithoutCircuit >= config.NecessityLoss,
                Line($"loss without it {m.LossWithoutCircuit:0.000}, should be {config.NecessityLoss} or more")
            ),
            new(
                "do random circuits of its size fail",
                !(m.LossRandomBest <= config.TargetLoss),
                Line($"best of {config.RandomCircuits} has {m.LossRandomBest:0.000}")
            ),
            new(
                "does the search fail on a random model",
                !randomModel.MeetsTarget,
                Line($"{randomModel.Loss:0.000} with {randomModel.Edges} edges")
            ),
            new(
                "does the search fail on shuffled labels",
                !shuffledLabels.MeetsTarget,
                Line($"{shuffledLabels.Loss:0.000} with {shuffledLabels.Edges} edges")
            ),
            new(
                "can activations be interchanged",
                worst <= InterchangeFactor * config.TargetLoss,
                Line($"worst loss on the two curves {worst:0.000}, should be {InterchangeFactor * config.TargetLoss} or less")
            ),
        ];
        string[] failed = [.. checks.Where(check => !check.Passed).Select(check => $"{check.Question}? no ({check.Numbers})")];
        return new Faithfulness
        {
            Task = circuit.Task,
            Model = circuit.Model,
            TargetLoss = config.TargetLoss,
            Nodes = circuit.Nodes.Count,
            Edges = circuit.Edges.Count,
            Circuit = m,
            RandomModel = randomModel,
            ShuffledLabels = shuffledLabels,
            Attribution = attribution,
            Interchange = interchange,
            LossOtherAblation = lossOther,
            Checks = checks,
            IsReal = failed.Length == 0,
            Verdict =
                failed.Length == 0
                    ? string.Create(
                        CultureInfo.InvariantCulture,
                        $"real: {circuit.Edges.Count} edges reach {m.Loss:0.000}, without them {m.LossWithoutCircuit:0.000}; random "
                            + $"model {randomModel.Loss:0.000}, shuffled labels {shuffledLabels.Loss:0.000}, interchange at most "
                            + $"{worst:0.000}"
                    )
                    : "doubtful: " + string.Join("; ", failed),
        };

        ControlSearch Search(TaskPruning searched, string name)
        {
            using var search = new CircuitSearch(searched.Evaluator);
            IReadOnlyList<TrainedMask> masks = search.TrainMasks(
                searched.Prompts.Training,
                null,
                step => progress?.Invoke(name, step),
                stop
            );
            return Control(searched, search.Choose(masks, searched.Prompts.Selection, config.TargetLoss));
        }

        ControlSearch Control(TaskPruning searched, ChosenNodes chosen)
        {
            double loss = searched.Evaluator.Loss(chosen.Nodes, searched.Prompts.Test);
            return new ControlSearch(
                chosen.PassesSelection && loss <= config.TargetLoss,
                chosen.Nodes.Count,
                searched.Evaluator.Graph.Edges(chosen.Nodes).Count(),
                loss,
                searched.LossFullModel
            );
        }
    }

    /// <summary>Writes faithfulness.json.</summary>
    public void WriteTo(string directory) => AtomicFile.WriteText(Path.Combine(directory, "faithfulness.json"), JsonText.Write(this));

    /// <summary>Fresh initial weights, made as sparse as those of a trained model matrix by matrix.</summary>
    public static ModelParameters RandomLike(ModelParameters trained, ulong seed)
    {
        var random = new ModelParameters(trained.Engine, trained.Config);
        random.Initialise(seed);
        foreach (
            Parameter parameter in random.All.Where(parameter => parameter.Spec.Sparsity is SparsityGroup.Matrix or SparsityGroup.Embedding)
        )
        {
            random.Engine.KeepLargest(parameter.Value, trained.Engine.CountNonzero(trained[parameter.Spec.Name].Value), null, 0);
        }

        return random;
    }

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
