using ILGPU;
using ILGPU.Algorithms;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The bigram table's part of the logits, and the cross-entropy: loss = log sum exp(z) - z[target], dz = scale * (softmax(z) - onehot).
/// </summary>
internal static class Loss
{
    /// <summary>Adds table[token] to logits [B,T,V].</summary>
    public static void BigramForward(GpuDevice device, GpuTokens tokens, GpuWeights table, GpuActivations logits) =>
        device.LaunchForEach(
            logits.Length,
            new BigramForwardKernel(tokens.View, table.View, logits.View, logits.Stride, logits.Channels, logits.Length)
        );

    /// <summary>Accumulates into tableGradient [V,V] except its last row, the padding index -1 of the official code.</summary>
    public static void BigramBackward(GpuDevice device, GpuTokens tokens, GpuActivations logitsGradient, GpuWeights tableGradient) =>
        Embedding.AddRows(device, tokens.Places(tableGradient.Rows), tableGradient.Rows - 1, logitsGradient, tableGradient);

    /// <summary>Overwrites losses [B,T,1] and, where given, logitsGradient [B,T,V] (may be the logits).</summary>
    public static void CrossEntropy(
        GpuDevice device,
        GpuActivations logits,
        GpuTokens targets,
        GpuActivations losses,
        GpuActivations? logitsGradient,
        float gradientScale
    )
    {
        GpuActivations gradient = logitsGradient ?? logits;
        device.Launch(
            logits.Rows,
            1,
            device.RowThreads(logits.Channels),
            new CrossEntropyKernel(
                logits.View,
                logits.Stride,
                targets.View,
                losses.View,
                losses.Stride,
                gradient.View,
                gradient.Stride,
                logits.Channels,
                logitsGradient is null ? 0 : 1,
                gradientScale
            )
        );
    }

    internal readonly struct BigramForwardKernel(
        ArrayView<int> tokens,
        ArrayView<float> table,
        ArrayView<float> logits,
        int stride,
        int vocabulary,
        int length
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / vocabulary;
                int v = i - (row * vocabulary);
                logits[(row * stride) + v] += table[(tokens[row] * vocabulary) + v];
            }
        }
    }

    /// <summary>A group is one token.</summary>
    internal readonly struct CrossEntropyKernel(
        ArrayView<float> logits,
        int stride,
        ArrayView<int> targets,
        ArrayView<float> losses,
        int lossStride,
        ArrayView<float> gradient,
        int gradientStride,
        int vocabulary,
        int hasGradient,
        float scale
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            int row = Grid.IdxX;
            int z = row * stride;
            int target = targets[row];
            // The largest logit, then the sum of exponentials relative to it.
            float maximum = float.NegativeInfinity;
            for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
            {
                float value = logits[z + v];
                maximum = value > maximum ? value : maximum;
            }

            maximum = GroupReduction.Maximum(maximum, shared);
            float sum = 0f;
            for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
            {
                sum += XMath.Exp(logits[z + v] - maximum);
            }

            sum = GroupReduction.Sum(sum, shared);

            // Not maximum + log(sum): next to large logits that would round log(sum) away.
            float logSum = XMath.Log(sum);
            float ofTarget = 0f;
            if (target >= 0)
            {
                ofTarget = maximum - logits[z + target] + logSum;
            }

            // The gradient may overwrite the logits.
            Group.Barrier();
            if (Group.IdxX == 0)
            {
                losses[row * lossStride] = ofTarget;
            }

            // softmax - one-hot, scaled.
            if (hasGradient != 0)
            {
                int dz = row * gradientStride;
                for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
                {
                    float one = v == target ? scale : 0f;
                    float all = target >= 0 ? (XMath.Exp(logits[z + v] - maximum - logSum) * scale) - one : 0f;
                    gradient[dz + v] = all;
                }
            }
        }
    }
}
