using Sparsity.Core.Distributed;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Kernels.Gpu;

/// <summary>What a training run takes of a device's memory, in bytes; known without a device.</summary>
/// <param name="Parameters">Weights, with their gradients where they are trained.</param>
/// <param name="Moments">Adam's two for each trained weight.</param>
/// <param name="Activations">Of the forward and the backward pass over one batch, and AbsTopK's choices.</param>
/// <param name="Workspace">Lists of nonzeros and of token places, sums over splits, staging: an upper bound.</param>
public sealed record MemoryEstimate(long Parameters, long Moments, long Activations, long Workspace)
{
    private const int Float = sizeof(float);

    /// <summary>Sum of the losses, RMS of the gradient and of the weights.</summary>
    private const int NumbersOfStep = 3;

    public long Total => Parameters + Moments + Activations + Workspace;

    /// <param name="group">The processes that train together, each on a device of its own; null for one alone.</param>
    public static MemoryEstimate For(ModelConfig model, TrainingConfig training, IProcessGroup? group = null)
    {
        IReadOnlyList<ParameterSpec> all = ParameterSpec.ListFor(model);
        ParameterSpec[] trained = [.. all.Where(spec => !spec.IsBuffer && Trainer.Trains(model, training, spec))];
        long weights = all.Sum(spec => (long)spec.Length);
        long trainedWeights = trained.Sum(spec => (long)spec.Length);
        long tokens = (long)new BatchShare(training, group).Sequences * training.ContextTokens;
        long selected = Site.AllOf(model).Where(site => model.KeptAt(site) is not null).Sum(site => (long)model.ChannelsAt(site.Kind));
        return new MemoryEstimate(
            Float * (weights + trainedWeights),
            Float * 2 * trainedWeights,
            (tokens * ((Float * (ForwardFloats(model) + BackwardFloats(model))) + selected)) + (Float * GpuScalars.Parts * NumbersOfStep),
            WorkspaceBytes(model, all, tokens));
    }

    /// <summary>Numbers for each token: ids and targets, residuals, what every sublayer keeps, the head.</summary>
    private static long ForwardFloats(ModelConfig model)
    {
        long d = model.DModel;
        long input = model.SublayerInputChannels + (model.DPosEmb is null ? 2 : 4);
        long attention = input + (4 * model.AttentionChannels) + model.NHead;
        long mlp = input + (2 * model.DMlp);
        long head = 2 + (2 * d) + model.VocabSize + 1;
        return 2 + (((2 * model.NLayer) + 1) * d) + (model.NLayer * (attention + mlp)) + d + model.DMlp + (model.DPosEmb ?? 0) + head;
    }

    private static long BackwardFloats(ModelConfig model) =>
        (2 * model.DModel) + model.SublayerInputChannels + (4 * model.AttentionChannels) + model.DMlp + (model.DPosEmb ?? 0);

    private static long WorkspaceBytes(ModelConfig model, IReadOnlyList<ParameterSpec> all, long tokens)
    {
        const int LargestSplitSums = 8 << 20; // 512 tiles of 64 by 64
        long lists = all.Where(spec => spec.Sparsity is SparsityGroup.Matrix or SparsityGroup.Embedding && spec.Rows > 1).Sum(SparseWeights.BytesFor);
        long places = Float * (tokens + new ListShape(model.VocabSize, (int)Math.Min(tokens, int.MaxValue)).Count);
        long staging = Float * Math.Max(all.Max(spec => (long)spec.Length), tokens * Math.Max(1, model.DModel));
        long largest = Float * all.Max(spec => (long)spec.Length);
        return lists + (2 * places) + staging + Math.Max(LargestSplitSums, largest) + (Float * tokens * model.NHead);
    }
}
