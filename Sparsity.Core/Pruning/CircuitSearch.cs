using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Prompts of one task for one search.</summary>
/// <param name="Training">For mask training, batch after batch.</param>
/// <param name="Selection">From the training templates: circuits are chosen on them.</param>
/// <param name="Test">From other templates: circuits are reported on them.</param>
public sealed record TaskPrompts(IReadOnlyList<TokenizedPair> Training, IReadOnlyList<TokenizedPair> Selection, IReadOnlyList<TokenizedPair> Test);

/// <summary>How far a search has come, for progress displays.</summary>
/// <param name="KCoef">The penalty being tried.</param>
/// <param name="Step">Of mask training, from 1; 0 while the mask is made discrete.</param>
/// <param name="Loss">Task loss.</param>
/// <param name="Nodes">Nodes kept at the moment.</param>
public readonly record struct PruningProgress(double KCoef, int Step, double Loss, int Nodes);

/// <summary>
/// Prunes a frozen model to the circuit of a task (spec section 4): for each penalty trains a mask, ranks nodes by tau, bisects for the fewest that meet the
/// target, drops dead ends; keeps the circuit with the fewest edges among those whose removal also breaks the task.
/// </summary>
public sealed class CircuitSearch : IDisposable
{
    private const int EvaluationPairs = 32;

    private readonly Transformer _model;
    private readonly PruningConfig _config;
    private readonly CircuitGraph _graph;
    private readonly float[] _means;
    private readonly TaskRunner _training;
    private readonly TaskRunner _evaluation;
    private readonly NodeGates _trainingGates;
    private readonly NodeGates _evaluationGates;

    /// <param name="model">Frozen.</param>
    /// <param name="means">Mean activation of every node.</param>
    /// <param name="config">Validated.</param>
    public CircuitSearch(Transformer model, float[] means, PruningConfig config)
    {
        if (config.MaxTokens > model.Config.BlockSize)
        {
            throw new BadInputException($"max_tokens is {config.MaxTokens}, but the model reads at most {model.Config.BlockSize} tokens. Lower max_tokens.");
        }

        _model = model;
        _config = config;
        _means = means;
        _graph = new CircuitGraph(model.Parameters);
        IComputeEngine engine = model.Parameters.Engine;
        float[] replacements = config.Ablation == Ablation.Mean ? means : new float[means.Length];
        _training = new TaskRunner(model, config.BatchPairs, config.MaxTokens);
        _trainingGates = new NodeGates(engine, _graph.Layout, replacements, 2 * config.BatchPairs, config.MaxTokens);
        _training.Hooks.Add(_trainingGates);
        _evaluation = new TaskRunner(model, EvaluationPairs, config.MaxTokens);
        _evaluationGates = new NodeGates(engine, _graph.Layout, replacements, 2 * EvaluationPairs, config.MaxTokens);
        _evaluation.Hooks.Add(_evaluationGates);
    }

    /// <summary>Finds the circuit of a task. Where no penalty meets the target, the candidate with the lowest loss, and says so.</summary>
    /// <param name="task">Its name, for the record.</param>
    /// <param name="modelName">The model's name, for the record.</param>
    /// <param name="prompts">The task's prompts.</param>
    /// <param name="progress">Called now and then.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public Circuit Find(string task, string modelName, TaskPrompts prompts, Action<PruningProgress>? progress = null, CancellationToken stop = default)
    {
        var candidates = new List<Candidate>();
        foreach (double kCoef in _config.KCoef)
        {
            var mask = new MaskTraining(_training, _trainingGates, _config, kCoef);
            for (int step = 0; step < _config.Steps; step++)
            {
                stop.ThrowIfCancellationRequested();
                double loss = mask.Step(step, Batch(prompts.Training, step));
                if ((step + 1) % 50 == 0)
                {
                    progress?.Invoke(new PruningProgress(kCoef, step + 1, loss, mask.Kept));
                }
            }

            Candidate candidate = Discretise(mask, kCoef, prompts.Selection);
            progress?.Invoke(new PruningProgress(kCoef, 0, candidate.Loss, candidate.Nodes.Count(kept => kept)));
            candidates.Add(candidate);
        }

        return Describe(Choose(candidates), task, modelName, prompts);
    }

    /// <summary>Logit differences with only <paramref name="nodes"/> active, everything else frozen.</summary>
    public double[] Differences(bool[] nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        _evaluationGates.SetMask([.. nodes.Select(kept => kept ? 1f : 0f)]);
        return _evaluation.AllDifferences(pairs);
    }

    public void Dispose()
    {
        _training.Dispose();
        _evaluation.Dispose();
        _trainingGates.Dispose();
        _evaluationGates.Dispose();
    }

    private List<TokenizedPair> Batch(IReadOnlyList<TokenizedPair> pairs, int step) =>
        [.. Enumerable.Range(step * _config.BatchPairs, _config.BatchPairs).Select(i => pairs[i % pairs.Count])];

    /// <summary>The fewest nodes, by tau, that meet the target on the selection prompts.</summary>
    private Candidate Discretise(MaskTraining mask, double kCoef, IReadOnlyList<TokenizedPair> selection)
    {
        int[] ranked = [.. Enumerable.Range(0, mask.Tau.Length).OrderByDescending(i => mask.Tau[i]).ThenBy(i => i)];
        double target = _config.TargetLoss * _config.SelectionMargin;

        // The loss is not monotone in the number of nodes: start from what the trained mask kept, not from all nodes.
        int passing = mask.Kept;
        double loss = LossOfFirst(passing);
        if (loss <= target)
        {
            int failing = 0;
            while (passing - failing > 1)
            {
                int middle = (passing + failing) / 2;
                double middleLoss = LossOfFirst(middle);
                (passing, failing, loss) = middleLoss <= target ? (middle, failing, middleLoss) : (passing, middle, loss);
            }
        }

        bool[] nodes = _graph.WithoutDeadEnds(FirstRanked(passing));
        return new Candidate(
            nodes, mask.Tau, kCoef, loss, loss <= target, BinaryLoss.Mean(Differences([.. nodes.Select(kept => !kept)], selection)), _graph.Edges(nodes).Count());

        double LossOfFirst(int count) => BinaryLoss.Mean(Differences(FirstRanked(count), selection));

        bool[] FirstRanked(int count)
        {
            var first = new bool[ranked.Length];
            for (int i = 0; i < count; i++)
            {
                first[ranked[i]] = true;
            }

            return first;
        }
    }

    private Candidate Choose(List<Candidate> candidates)
    {
        List<Candidate> passing = [.. candidates.Where(candidate => candidate.MeetsTarget)];
        List<Candidate> necessary = [.. passing.Where(candidate => candidate.LossWithout >= _config.NecessityLoss)];
        return necessary.Count > 0 ? necessary.MinBy(candidate => candidate.Edges)!
            : passing.Count > 0 ? passing.MaxBy(candidate => candidate.LossWithout)!
            : candidates.MinBy(candidate => candidate.Loss)!;
    }

    private Circuit Describe(Candidate chosen, string task, string modelName, TaskPrompts prompts)
    {
        bool[] nodes = chosen.Nodes;
        bool[] all = [.. nodes.Select(_ => true)];
        CalibrationResult calibration = Calibration.Fit(Differences(nodes, prompts.Selection), _config.CalibrationSteps);
        double[] circuit = Differences(nodes, prompts.Test);
        double[] full = Differences(all, prompts.Test);
        NodeLayout layout = _graph.Layout;
        return new Circuit
        {
            Task = task,
            Model = modelName,
            ModelFingerprint = _model.Parameters.Fingerprint(),
            KCoef = chosen.KCoef,
            MeetsTarget = chosen.MeetsTarget,
            TotalNodes = layout.Count,
            TotalEdges = _graph.Edges(all).Count(),
            Measurements = new CircuitMeasurements(
                LossFullModel: BinaryLoss.Mean(full),
                Loss: BinaryLoss.Mean(circuit),
                LossCalibrated: BinaryLoss.Mean(circuit, calibration.Scale, calibration.Shift),
                LossWithoutCircuit: BinaryLoss.Mean(Differences([.. nodes.Select(kept => !kept)], prompts.Test)),
                LossEmpty: BinaryLoss.Mean(Differences(new bool[nodes.Length], prompts.Test)),
                Accuracy: BinaryLoss.Accuracy(circuit),
                AccuracyFullModel: BinaryLoss.Accuracy(full),
                SelectionLoss: chosen.Loss),
            Calibration = calibration,
            Settings = _config,
            Nodes = [.. Enumerable.Range(0, nodes.Length).Where(i => nodes[i]).Select(i => new CircuitNode(layout[i].Name, chosen.Tau[i], _means[i], _graph.BiasOf(i)))],
            Edges = [.. _graph.Edges(nodes).Select(edge => new CircuitEdge(layout[edge.From].Name, layout[edge.To].Name, edge.Weight))],
        };
    }

    private sealed record Candidate(bool[] Nodes, double[] Tau, double KCoef, double Loss, bool MeetsTarget, double LossWithout, int Edges);
}
