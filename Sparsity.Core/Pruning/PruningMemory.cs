using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// What pruning takes of a device's memory, in bytes: the same code runs on an engine that only counts, with the longest prompts and for
/// one step.
/// </summary>
internal static class PruningMemory
{
    /// <summary>Bytes that a search for circuits takes at most, the model's weights included.</summary>
    /// <param name="memory">The device's.</param>
    /// <param name="model">The model to prune.</param>
    /// <param name="config">Validated.</param>
    /// <param name="contextTokens">T of the windows of pretraining text.</param>
    /// <param name="withControls">Whether <see cref="Faithfulness"/> follows.</param>
    public static long BytesOf(IDeviceMemory memory, ModelConfig model, PruningConfig config, int contextTokens, bool withControls)
    {
        PruningConfig one = config with { Steps = 1, KCoef = [0], MaxTokens = Math.Min(config.MaxTokens, model.BlockSize) };
        var layout = new NodeLayout(model, config.FinalResid);
        var text = new ushort[MeanActivations.Sequences * contextTokens];
        using IComputeEngine counter = memory.CreateCounter();
        using var parameters = new ModelParameters(counter, model);
        var transformer = new Transformer(parameters);
        float[] means = MeanActivations.Measure(transformer, layout, text, contextTokens, 1, 0);
        using var evaluator = new CircuitEvaluator(transformer, means, one);
        Search(
            evaluator,
            () =>
            {
                Node[] nodes = [.. Enumerable.Range(0, layout.Sites.Count).Select(site => layout[layout.RangeOf(site).Start.Value])];
                RecordedText.OfPretraining(transformer, nodes, text, contextTokens, 1, 0);
                RecordedText.OfPrompts(evaluator, nodes, Longest(one, evaluator.Masked.Runner.Pairs));
            }
        );
        if (withControls)
        {
            using var again = new CircuitEvaluator(transformer, means, one);
            Evaluate(again, withGradient: true);
            Exchange(again);
            using var shuffled = new CircuitEvaluator(transformer, means, one);
            Search(shuffled);
            using var random = new ModelParameters(counter, model);
            using var onRandom = new CircuitEvaluator(new Transformer(random), means, one);
            Search(onRandom);
        }

        return counter.Memory!.PeakBytes;
    }

    /// <summary>
    /// Pairs of a batch that an engine is fast with, from 1 to <paramref name="most"/>. Of a device's memory they take an eighth at most,
    /// whatever else is in it: several searches and controls have passes of their own at a time, and results, which depend on it in their
    /// last bits, must not depend on what else runs there.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="tokens">Longest prompt.</param>
    /// <param name="most">More are not needed.</param>
    public static int PairsAtOnce(Transformer model, int tokens, int most)
    {
        const int ShareOfDevice = 8;
        if (model.Parameters.Engine.Memory is { } memory)
        {
            long one = BytesOfPass(memory, model.Config, 1, tokens);
            long each = Math.Max(1, BytesOfPass(memory, model.Config, 2, tokens) - one);
            return (int)Math.Clamp(1 + (((memory.TotalBytes / ShareOfDevice) - one) / each), 1, most);
        }

        long bytesOfPair =
            2L * tokens * sizeof(float) * Math.Max(model.Config.DMlp, Math.Max(model.Config.DModel, model.Config.AttentionChannels));
        return (int)Math.Clamp(model.Parameters.Engine.PreferredActivationBytes / bytesOfPair, 1, most);
    }

    /// <summary>
    /// Bytes of a pass over so many pairs of the longest prompts, forward and backward, with a mask over all nodes; without the weights.
    /// </summary>
    private static long BytesOfPass(IDeviceMemory memory, ModelConfig model, int pairs, int tokens)
    {
        using IComputeEngine counter = memory.CreateCounter();
        using var parameters = new ModelParameters(counter, model);
        long weights = counter.Memory!.PeakBytes;
        var layout = new NodeLayout(model);
        using var masked = new MaskedRunner(new Transformer(parameters), layout, new float[layout.Count], pairs, tokens);
        masked.Runner.LossAndBackward(Longest(tokens, pairs), TaskLoss.Binary);
        return counter.Memory!.PeakBytes - weights;
    }

    /// <summary>Mask training, then what looks at circuits while its memory is still there.</summary>
    private static void Search(CircuitEvaluator evaluator, Action? survey = null)
    {
        using var search = new CircuitSearch(evaluator);
        if (evaluator.Config.Method == PruningMethod.Mask)
        {
            search.TrainMasks(Longest(evaluator.Config, evaluator.Config.BatchPairs));
        }

        Evaluate(evaluator, withGradient: evaluator.Config.Method != PruningMethod.Mask);
        if (evaluator.Config.InterchangeFactor > 0)
        {
            Exchange(evaluator);
        }

        survey?.Invoke();
    }

    private static void Exchange(CircuitEvaluator evaluator)
    {
        using var interchange = new Interchange(
            evaluator,
            Longest(evaluator.Config, evaluator.Masked.Runner.Pairs),
            orders: 1,
            purpose: ""
        );
        interchange.Measure(NodeSet.Empty(evaluator.Layout));
    }

    private static void Evaluate(CircuitEvaluator evaluator, bool withGradient)
    {
        TokenizedPair[] pairs = Longest(evaluator.Config, evaluator.Masked.Runner.Pairs);
        evaluator.Loss(NodeSet.Empty(evaluator.Layout), pairs);
        if (withGradient)
        {
            evaluator.Masked.Runner.LossAndBackward(pairs, TaskLoss.Binary);
        }
    }

    private static TokenizedPair[] Longest(PruningConfig config, int pairs) => Longest(config.MaxTokens, pairs);

    private static TokenizedPair[] Longest(int tokens, int pairs)
    {
        var prompt = new int[tokens];
        return [.. Enumerable.Range(0, pairs).Select(_ => new TokenizedPair(prompt, prompt, 0, 1))];
    }
}
