using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>How a model answers a task's prompts. Probabilities are between the two answers.</summary>
/// <param name="Loss">Mean loss in nats, of the kind that was asked for.</param>
/// <param name="Accuracy">Share of prompts whose right answer has the larger logit.</param>
/// <param name="ProbabilityA">Mean probability of the first answer after first prompts, where it is right.</param>
/// <param name="ProbabilityB">Mean probability of the second answer after second prompts, where it is right.</param>
/// <param name="Probabilities">Probability of the right answer, prompt by prompt: first and second of pair 0, of pair 1, and so on.</param>
public sealed record TaskAnswers(
    double Loss,
    double Accuracy,
    double ProbabilityA,
    double ProbabilityB,
    IReadOnlyList<double> Probabilities
)
{
    /// <param name="differences">Logit differences as <see cref="TaskRunner.AllDifferences"/> gives them.</param>
    /// <param name="loss">Null for the binary loss.</param>
    public static TaskAnswers Of(double[] differences, double? loss = null)
    {
        double[] probabilities = [.. differences.Select((difference, i) => 1 / (1 + Math.Exp(i % 2 == 0 ? -difference : difference)))];
        return new TaskAnswers(
            loss ?? BinaryLoss.Mean(differences),
            BinaryLoss.Accuracy(differences),
            probabilities.Where((_, i) => i % 2 == 0).Average(),
            probabilities.Where((_, i) => i % 2 == 1).Average(),
            probabilities
        );
    }
}

/// <summary>
/// Runs a frozen model on a task with every node scaled: 1 leaves it, 0 freezes it at its replacement, other values move it along the line
/// through both.
/// </summary>
public sealed class NodeScaling : IDisposable
{
    private const int BatchPairs = 32;

    private readonly TaskRunner _runner;
    private readonly NodeGates _gates;
    private readonly TaskLoss _loss;

    /// <param name="model">Frozen.</param>
    /// <param name="layout">Its nodes.</param>
    /// <param name="replacements">What a node of scale 0 is frozen at: its mean activation, or 0; one per node.</param>
    /// <param name="maxTokens">Longest prompt.</param>
    /// <param name="freezesNormScale">As <see cref="PruningConfig.FreezeNormScale"/>.</param>
    /// <param name="loss">Which loss is answered.</param>
    public NodeScaling(
        Transformer model,
        NodeLayout layout,
        ReadOnlySpan<float> replacements,
        int maxTokens,
        bool freezesNormScale,
        TaskLoss loss = TaskLoss.Binary
    )
    {
        _loss = loss;
        _runner = new TaskRunner(model, PruningMemory.PairsAtOnce(model, maxTokens, BatchPairs), maxTokens)
        {
            FreezesNormScale = freezesNormScale,
        };
        _gates = new NodeGates(model.Parameters.Engine, layout, replacements);
        _runner.Hooks.Add(_gates);
    }

    /// <param name="scales">One per node.</param>
    /// <param name="pairs">The prompts.</param>
    public TaskAnswers Answer(ReadOnlySpan<float> scales, IReadOnlyList<TokenizedPair> pairs)
    {
        _gates.SetMask(scales);
        return TaskAnswers.Of(_runner.AllDifferences(pairs), _loss == TaskLoss.Binary ? null : _runner.MeanLoss(pairs, _loss));
    }

    public void Dispose()
    {
        _runner.Dispose();
        _gates.Dispose();
    }
}
