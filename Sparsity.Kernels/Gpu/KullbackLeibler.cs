using ILGPU;
using ILGPU.Algorithms;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// KL(q || p) of each token, q = softmax(target), p = softmax(logits), both [B,T,V] (docs/method.md section 5): the sum over v of q (log q
/// - log p), and d/dlogits = p - q.
/// </summary>
internal static class KullbackLeibler
{
    /// <summary>Overwrites losses [B,T,1] and, where given, logitsGradient [B,T,V] (may be the logits).</summary>
    public static void Run(
        GpuDevice device,
        GpuActivations target,
        GpuActivations logits,
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
            new Kernel(
                target.View,
                target.Stride,
                logits.View,
                logits.Stride,
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

    /// <summary>A group is one token.</summary>
    internal readonly struct Kernel(
        ArrayView<float> target,
        int targetStride,
        ArrayView<float> logits,
        int logitsStride,
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
            int q = Grid.IdxX * targetStride;
            int p = Grid.IdxX * logitsStride;
            float maximumQ = Largest(target, q, shared);
            float maximumP = Largest(logits, p, shared);
            float logSumQ = LogSum(target, q, maximumQ, shared);
            float logSumP = LogSum(logits, p, maximumP, shared);

            // The maxima go first, so that large logits do not round log(sum) away; equal logits give exactly 0.
            float loss = 0f;
            for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
            {
                float logQ = target[q + v] - maximumQ - logSumQ;
                float logP = logits[p + v] - maximumP - logSumP;
                loss += XMath.Exp(logQ) * (logQ - logP);
            }

            loss = GroupReduction.Sum(loss, shared);
            if (Group.IdxX == 0)
            {
                losses[Grid.IdxX * lossStride] = loss;
            }

            if (hasGradient != 0)
            {
                for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
                {
                    float difference = XMath.Exp(logits[p + v] - maximumP - logSumP) - XMath.Exp(target[q + v] - maximumQ - logSumQ);
                    gradient[(Grid.IdxX * gradientStride) + v] = difference * scale;
                }
            }
        }

        private float Largest(ArrayView<float> values, int first, ArrayView<float> shared)
        {
            float maximum = float.NegativeInfinity;
            for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
            {
                float value = values[first + v];
                maximum = value > maximum ? value : maximum;
            }

            return GroupReduction.Maximum(maximum, shared);
        }

        private float LogSum(ArrayView<float> values, int first, float maximum, ArrayView<float> shared)
        {
            float sum = 0f;
            for (int v = Group.IdxX; v < vocabulary; v += Group.DimX)
            {
                sum += XMath.Exp(values[first + v] - maximum);
            }

            return XMath.Log(GroupReduction.Sum(sum, shared));
        }
    }
}
