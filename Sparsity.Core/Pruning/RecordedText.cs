using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Core.Pruning;

/// <summary>Token rows and, for each of some nodes, the activation at every token, row after row.</summary>
internal sealed class RecordedText
{
    private RecordedText(int nodes) => Values = [.. Enumerable.Range(0, nodes).Select(_ => new List<float>())];

    public List<int[]> Rows { get; } = [];

    /// <summary>Per node.</summary>
    public IReadOnlyList<List<float>> Values { get; }

    /// <summary>Windows of pretraining text, in the whole model: the same windows that the mean activations come from.</summary>
    public static RecordedText OfPretraining(
        Transformer model,
        IReadOnlyList<Node> nodes,
        ReadOnlyMemory<ushort> tokens,
        int contextTokens,
        int batches,
        ulong seed
    )
    {
        IComputeEngine engine = model.Parameters.Engine;
        using ForwardState state = model.CreateForwardState(MeanActivations.Sequences, contextTokens);
        var recorder = new NodeRecorder(engine, nodes);
        state.Hooks.Add(recorder);
        var source = new BatchSource(tokens, MeanActivations.Sequences, contextTokens);
        var text = new RecordedText(nodes.Count);
        for (int i = 0; i < batches; i++)
        {
            int[] batch = source.Random(seed, i).ToArray();
            engine.Write(state.TokenIds, batch);
            model.Forward(state);
            text.Rows.AddRange(batch.Chunk(contextTokens));
            for (int node = 0; node < nodes.Count; node++)
            {
                text.Values[node].AddRange(recorder.Values[node]);
            }
        }

        return text;
    }

    /// <summary>Prompts, with the mask that the evaluator has at the moment.</summary>
    public static RecordedText OfPrompts(CircuitEvaluator evaluator, IReadOnlyList<Node> nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        var recorder = new NodeRecorder(evaluator.Model.Parameters.Engine, nodes);
        evaluator.Masked.Runner.Hooks.Add(recorder);
        var text = new RecordedText(nodes.Count);
        foreach (TokenizedPair[] batch in pairs.Chunk(evaluator.Masked.Runner.Pairs))
        {
            evaluator.Masked.Runner.Differences(batch);
            foreach ((int row, TokenizedPrompt prompt) in TaskRunner.PromptsOf(batch).Index())
            {
                text.Rows.Add(prompt.Tokens);
                for (int node = 0; node < nodes.Count; node++)
                {
                    text.Values[node].AddRange(recorder.Values[node].AsSpan(row * recorder.Tokens, prompt.Tokens.Length));
                }
            }
        }

        evaluator.Masked.Runner.Hooks.Remove(recorder);
        return text;
    }
}
