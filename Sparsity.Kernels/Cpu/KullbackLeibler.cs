using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// KL(q || p) of each token, q = softmax(target), p = softmax(logits), both [B,T,V] (docs/method.md section 5): the sum over v of q (log q
/// - log p), and d/dlogits = p - q.
/// </summary>
internal static unsafe class KullbackLeibler
{
    /// <summary>Overwrites losses [B,T,1] and, where given, logitsGradient [B,T,V] (may be the logits).</summary>
    public static void Run(
        WorkerPool pool,
        CpuActivations target,
        CpuActivations logits,
        CpuActivations losses,
        CpuActivations? logitsGradient,
        float gradientScale
    ) => pool.Run(logits.Tiles, new DivergenceJob(target, logits, losses, logitsGradient, gradientScale));

    private readonly struct DivergenceJob(
        CpuActivations target,
        CpuActivations logits,
        CpuActivations losses,
        CpuActivations? logitsGradient,
        float scale
    ) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int valid = logits.ValidLanes(tile);
            for (int lane = 0; lane < logits.Width; lane += CpuActivations.VectorLanes)
            {
                Sixteen(tile, lane, CpuActivations.ValidMask(lane, valid));
            }
        }

        private void Sixteen(int tile, int lane, Vector512<float> valid)
        {
            int width = logits.Width;
            int vocabulary = logits.Channels;
            float* q = target.Lanes(tile, 0) + lane;
            float* p = logits.Lanes(tile, 0) + lane;
            (Vector512<float> maximumQ, Vector512<float> logSumQ) = Normaliser(q, width, vocabulary);
            (Vector512<float> maximumP, Vector512<float> logSumP) = Normaliser(p, width, vocabulary);

            // The maxima go first, so that large logits do not round log(sum) away; equal logits give exactly 0.
            Vector512<float> loss = default;
            for (int v = 0; v < vocabulary; v++)
            {
                Vector512<float> logQ = Vector512.Load(q + (v * width)) - maximumQ - logSumQ;
                Vector512<float> logP = Vector512.Load(p + (v * width)) - maximumP - logSumP;
                loss += Vector512.Exp(logQ) * (logQ - logP);
            }

            (loss & valid).Store(losses.Lanes(tile, 0) + lane);
            if (logitsGradient is null)
            {
                return;
            }

            float* gradient = logitsGradient.Lanes(tile, 0) + lane;
            Vector512<float> scales = Vector512.Create(scale);
            for (int v = 0; v < vocabulary; v++)
            {
                Vector512<float> difference =
                    Vector512.Exp(Vector512.Load(p + (v * width)) - maximumP - logSumP)
                    - Vector512.Exp(Vector512.Load(q + (v * width)) - maximumQ - logSumQ);
                ((difference * scales) & valid).Store(gradient + (v * width));
            }
        }

        /// <summary>The largest logit of each token, and the logarithm of the sum of exp(logit - largest).</summary>
        private static (Vector512<float> Maximum, Vector512<float> LogSum) Normaliser(float* logits, int width, int vocabulary)
        {
            Vector512<float> maximum = Vector512.Load(logits);
            for (int v = 1; v < vocabulary; v++)
            {
                maximum = Vector512.Max(maximum, Vector512.Load(logits + (v * width)));
            }

            Vector512<float> sum = default;
            for (int v = 0; v < vocabulary; v++)
            {
                sum += Vector512.Exp(Vector512.Load(logits + (v * width)) - maximum);
            }

            return (maximum, Vector512.Log(sum));
        }
    }
}
