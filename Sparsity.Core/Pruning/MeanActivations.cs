using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Core.Pruning;

/// <summary>The mean activation of every node over pretraining tokens: what masked nodes are frozen at.</summary>
internal static class MeanActivations
{
    /// <summary>Windows of a batch.</summary>
    internal const int Sequences = 16;

    /// <summary>
    /// Those of an opened model: measured on its data; where none are known, as they stand in the model's folder, whatever the windows.
    /// </summary>
    /// <param name="run">The model.</param>
    /// <param name="layout">Its nodes.</param>
    /// <param name="contextTokens">T of the windows.</param>
    /// <param name="batches">Batches of 16 windows.</param>
    /// <param name="seed">Chooses the windows.</param>
    /// <exception cref="BadInputException">It has neither data nor means.</exception>
    public static float[] Of(OpenedRun run, NodeLayout layout, int contextTokens, int batches, ulong seed) =>
        StoredOf(run)?.Invoke(layout) ?? Measure(run.Model, layout, run.Data.Training, contextTokens, batches, seed);

    /// <summary>
    /// Reads the means in the folder of a model whose data are not known, by its nodes; null where they have to be measured.
    /// </summary>
    public static Func<NodeLayout, float[]>? StoredOf(OpenedRun run)
    {
        string path = Path.Combine(run.Folder.Directory, MeansFile.Name);
        return run.FindData() is null && File.Exists(path)
            ? layout => MeansFile.Read(path, layout, run.Model.Parameters.Fingerprint(), "Get the model's folder again, or give data.")
            : null;
    }

    /// <summary>One mean per node, over all positions of <paramref name="batches"/> random windows of the stream.</summary>
    /// <param name="model">The frozen model.</param>
    /// <param name="layout">Its nodes.</param>
    /// <param name="tokens">Pretraining tokens.</param>
    /// <param name="contextTokens">T of the windows.</param>
    /// <param name="batches">Batches of 16 windows.</param>
    /// <param name="seed">Chooses the windows.</param>
    /// <exception cref="BadInputException">There is less than one window of tokens.</exception>
    public static float[] Measure(
        Transformer model,
        NodeLayout layout,
        ReadOnlyMemory<ushort> tokens,
        int contextTokens,
        int batches,
        ulong seed
    )
    {
        if (tokens.Length < contextTokens)
        {
            throw new BadInputException(
                $"The training data has {tokens.Length} tokens, but means are taken over windows of {contextTokens}. Give a data "
                    + $"folder with more text."
            );
        }

        IComputeEngine engine = model.Parameters.Engine;
        using ForwardState state = model.CreateForwardState(Sequences, contextTokens);
        var sums = new Sums(engine, layout);
        state.Hooks.Add(sums);
        var source = new BatchSource(tokens, Sequences, contextTokens);
        for (int i = 0; i < batches; i++)
        {
            engine.Write(state.TokenIds, source.Random(seed, i));
            model.Forward(state);
        }

        double count = (double)batches * Sequences * contextTokens;
        return [.. sums.Total.Select(sum => (float)(sum / count))];
    }

    private sealed class Sums(IComputeEngine engine, NodeLayout layout) : ISiteHook
    {
        public double[] Total { get; } = new double[layout.Count];

        public void Forward(Site site, ActivationTensor activation)
        {
            for (int i = 0; i < layout.Sites.Count; i++)
            {
                if (layout.Sites[i] == site)
                {
                    engine.ChannelSums(activation, Total.AsSpan(layout.RangeOf(i)));
                }
            }
        }

        public void Backward(Site site, ActivationTensor gradient) { }
    }
}
