using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>The bigram table's part of the logits, and the cross-entropy: loss = log sum exp(z) - z[target], dz = scale * (softmax(z) - onehot).</summary>
internal static unsafe class Loss
{
    private const int VocabularyOfItem = 64;

    /// <summary>Adds table[token] to logits [B,T,V].</summary>
    public static void BigramForward(WorkerPool pool, CpuTokens tokens, CpuWeights table, CpuActivations logits) =>
        pool.Run(logits.Tiles, new BigramForwardJob(tokens.Data, table.Data, logits));

    /// <summary>Accumulates into tableGradient [V,V] except its last row.</summary>
    public static void BigramBackward(WorkerPool pool, CpuTokens tokens, CpuActivations logitsGradient, CpuWeights tableGradient) =>
        pool.Run((logitsGradient.Channels + VocabularyOfItem - 1) / VocabularyOfItem, new BigramBackwardJob(tokens.Data, logitsGradient, tableGradient.Data));

    /// <summary>Overwrites losses [B,T,1] and, where given, logitsGradient [B,T,V] (may be the logits).</summary>
    public static void CrossEntropy(WorkerPool pool, CpuActivations logits, CpuTokens targets, CpuActivations losses, CpuActivations? logitsGradient, float gradientScale) =>
        pool.Run(logits.Tiles, new CrossEntropyJob(logits, targets.Data, losses, logitsGradient, gradientScale));

    private readonly struct BigramForwardJob(int* tokens, float* table, CpuActivations logits) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int vocabulary = logits.Channels;
            int valid = logits.ValidLanes(tile);
            int* ids = tokens + (tile / logits.TilesPerSequence * logits.Tokens) + (tile % logits.TilesPerSequence * logits.Width);
            for (int v = 0; v < vocabulary; v++)
            {
                float* lanes = logits.Lanes(tile, v);
                for (int lane = 0; lane < valid; lane++)
                {
                    lanes[lane] += table[((long)ids[lane] * vocabulary) + v];
                }
            }
        }
    }

    /// <summary>An item is a block of the table's columns over all tokens in order.</summary>
    private readonly struct BigramBackwardJob(int* tokens, CpuActivations gradient, float* tableGradient) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int vocabulary = gradient.Channels;
            int first = item * VocabularyOfItem;
            int end = Math.Min(first + VocabularyOfItem, vocabulary);
            for (int tile = 0; tile < gradient.Tiles; tile++)
            {
                int valid = gradient.ValidLanes(tile);
                int* ids = tokens + (tile / gradient.TilesPerSequence * gradient.Tokens) + (tile % gradient.TilesPerSequence * gradient.Width);
                for (int lane = 0; lane < valid; lane++)
                {
                    if (ids[lane] == vocabulary - 1)
                    {
                        continue; // the padding index -1 of the official code
                    }

                    float* row = tableGradient + ((long)ids[lane] * vocabulary);
                    for (int v = first; v < end; v++)
                    {
                        row[v] += gradient.Lanes(tile, v)[lane];
                    }
                }
            }
        }
    }

    private readonly struct CrossEntropyJob(CpuActivations logits, int* targets, CpuActivations losses, CpuActivations? logitsGradient, float scale) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int valid = logits.ValidLanes(tile);
            int* wanted = targets + (tile / logits.TilesPerSequence * logits.Tokens) + (tile % logits.TilesPerSequence * logits.Width);
            for (int lane = 0; lane < logits.Width; lane += CpuActivations.VectorLanes)
            {
                Sixteen(tile, lane, wanted + lane, Math.Clamp(valid - lane, 0, CpuActivations.VectorLanes));
            }
        }

        private void Sixteen(int tile, int lane, int* wanted, int valid)
        {
            int width = logits.Width;
            int vocabulary = logits.Channels;
            float* z = logits.Lanes(tile, 0) + lane;
            Vector512<float> maximum = Vector512.Load(z);
            for (int v = 1; v < vocabulary; v++)
            {
                maximum = Vector512.Max(maximum, Vector512.Load(z + (v * width)));
            }

            Vector512<float> sum = default;
            for (int v = 0; v < vocabulary; v++)
            {
                sum += VectorMath.Exp(Vector512.Load(z + (v * width)) - maximum);
            }

            // Not max + log(sum): next to large logits that would round log(sum) away.
            Vector512<float> logSum = Vector512.Log(sum);
            float* loss = losses.Lanes(tile, 0) + lane;
            float* counted = stackalloc float[CpuActivations.VectorLanes];
            for (int i = 0; i < CpuActivations.VectorLanes; i++)
            {
                bool counts = i < valid && wanted[i] >= 0;
                counted[i] = counts ? scale : 0f;
                loss[i] = counts ? maximum[i] - z[(wanted[i] * width) + i] + logSum[i] : 0f;
            }

            if (logitsGradient is null)
            {
                return;
            }

            float* dz = logitsGradient.Lanes(tile, 0) + lane;
            Vector512<float> perLane = Vector512.Load(counted);
            for (int v = 0; v < vocabulary; v++)
            {
                // A product of 0 and NaN would spread from padding: select instead.
                Vector512<float> gradient = VectorMath.Exp(Vector512.Load(z + (v * width)) - maximum - logSum) * perLane;
                Vector512.ConditionalSelect(Vector512.Equals(perLane, Vector512<float>.Zero), Vector512<float>.Zero, gradient).Store(dz + (v * width));
            }

            for (int i = 0; i < valid; i++)
            {
                if (wanted[i] >= 0)
                {
                    dz[(wanted[i] * width) + i] -= scale;
                }
            }
        }
    }
}
