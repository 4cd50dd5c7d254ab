using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// The bigram table's part of the logits, and the cross-entropy: loss = log sum exp(z) - z[target], dz = scale * (softmax(z) - onehot).
/// </summary>
internal static unsafe class Loss
{
    private const int VocabularyOfItem = 64;

    /// <summary>Adds table[token] to logits [B,T,V].</summary>
    public static void BigramForward(WorkerPool pool, CpuTokens tokens, CpuWeights table, CpuActivations logits)
    {
        if (logits.IsSingleToken)
        {
            SingleToken.AddRow(table.Data + ((long)tokens.Data[0] * logits.Channels), logits);
            return;
        }

        pool.Run(logits.Tiles, new BigramForwardJob(tokens.Data, table.Data, logits));
    }

    /// <summary>Accumulates into tableGradient [V,V] except its last row.</summary>
    public static void BigramBackward(WorkerPool pool, CpuTokens tokens, CpuActivations logitsGradient, CpuWeights tableGradient) =>
        pool.Run(
            (logitsGradient.Channels + VocabularyOfItem - 1) / VocabularyOfItem,
            new BigramBackwardJob(tokens.Data, logitsGradient, tableGradient.Data)
        );

    /// <summary>Overwrites losses [B,T,1] and, where given, logitsGradient [B,T,V] (may be the logits).</summary>
    public static void CrossEntropy(
        WorkerPool pool,
        CpuActivations logits,
        CpuTokens targets,
        CpuActivations losses,
        CpuActivations? logitsGradient,
        float gradientScale
    ) => pool.Run(logits.Tiles, new CrossEntropyJob(logits, targets.Data, losses, logitsGradient, gradientScale));

    /// <summary>The sum of values [B,T,1], token after token in double.</summary>
    public static double Sum(CpuActivations values)
    {
        double sum = 0;
        for (int tile = 0; tile < values.Tiles; tile++)
        {
            foreach (float value in new ReadOnlySpan<float>(values.Lanes(tile, 0), values.ValidLanes(tile)))
            {
                sum += value;
            }
        }

        return sum;
    }

    private readonly struct BigramForwardJob(int* tokens, float* table, CpuActivations logits) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int vocabulary = logits.Channels;
            int valid = logits.ValidLanes(tile);
            int* ids = tokens + (tile / logits.TilesPerSequence * logits.Tokens) + (tile % logits.TilesPerSequence * logits.Width);
            float** rows = stackalloc float*[CpuActivations.MaximumWidth];
            for (int lane = 0; lane < valid; lane++)
            {
                rows[lane] = table + ((long)ids[lane] * vocabulary);
            }

            TokenRows.AddToLanes(rows, valid, logits.Lanes(tile, 0), logits.Width, vocabulary);
        }
    }

    /// <summary>An item is a block of the table's columns over all tokens in order.</summary>
    private readonly struct BigramBackwardJob(int* tokens, CpuActivations gradient, float* tableGradient) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int vocabulary = gradient.Channels;
            int first = item * VocabularyOfItem;
            float** rows = stackalloc float*[CpuActivations.MaximumWidth];
            for (int tile = 0; tile < gradient.Tiles; tile++)
            {
                int valid = gradient.ValidLanes(tile);
                int* ids =
                    tokens + (tile / gradient.TilesPerSequence * gradient.Tokens) + (tile % gradient.TilesPerSequence * gradient.Width);
                for (int lane = 0; lane < valid; lane++)
                {
                    // The last row is the padding index -1 of the official code.
                    rows[lane] = ids[lane] == vocabulary - 1 ? null : tableGradient + ((long)ids[lane] * vocabulary) + first;
                }

                TokenRows.AddToRows(
                    gradient.Lanes(tile, first),
                    gradient.Width,
                    Math.Min(VocabularyOfItem, vocabulary - first),
                    rows,
                    valid
                );
            }
        }
    }

    private readonly struct CrossEntropyJob(
        CpuActivations logits,
        int* targets,
        CpuActivations losses,
        CpuActivations? logitsGradient,
        float scale
    ) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            const int Groups = CpuActivations.MaximumWidth / CpuActivations.VectorLanes;
            int width = logits.Width;
            int vocabulary = logits.Channels;
            int groups = width / CpuActivations.VectorLanes;
            float* z = logits.Lanes(tile, 0);
            Vector512<float>* maximum = stackalloc Vector512<float>[Groups];
            Vector512<float>* sum = stackalloc Vector512<float>[Groups];
            for (int group = 0; group < groups; group++)
            {
                maximum[group] = Vector512.Load(z + (group * CpuActivations.VectorLanes));
                sum[group] = default;
            }

            // A NaN may be passed over here: it comes back in the sum.
            for (int v = 1; v < vocabulary; v++)
            {
                for (int group = 0; group < groups; group++)
                {
                    maximum[group] = Vector512.MaxNative(
                        maximum[group],
                        Vector512.Load(z + (v * width) + (group * CpuActivations.VectorLanes))
                    );
                }
            }

            int valid = logits.ValidLanes(tile);
            int* wanted = targets + (tile / logits.TilesPerSequence * logits.Tokens) + (tile % logits.TilesPerSequence * width);
            float* loss = losses.Lanes(tile, 0);
            float* counted = stackalloc float[CpuActivations.MaximumWidth];
            for (int lane = 0; lane < width; lane++)
            {
                bool counts = lane < valid && wanted[lane] >= 0;
                counted[lane] = counts ? scale : 0f;
                loss[lane] = counts ? ((float*)maximum)[lane] - z[(wanted[lane] * width) + lane] : 0f;
            }

            float* dz = logitsGradient is null ? null : logitsGradient.Lanes(tile, 0);
            for (int v = 0; v < vocabulary; v++)
            {
                for (int group = 0; group < groups; group++)
                {
                    int place = (v * width) + (group * CpuActivations.VectorLanes);
                    Vector512<float> p = VectorMath.Exp(Vector512.Load(z + place) - maximum[group]);
                    sum[group] += p;
                    if (dz != null)
                    {
                        p.Store(dz + place);
                    }
                }
            }

            for (int group = 0; group < groups; group++)
            {
                // Not max + log(sum) - target: next to large logits that would round log(sum) away.
                float* own = loss + (group * CpuActivations.VectorLanes);
                Vector512<float> counts = Vector512.GreaterThan(
                    Vector512.Load(counted + (group * CpuActivations.VectorLanes)),
                    Vector512<float>.Zero
                );
                (Vector512.Load(own) + (Vector512.Log(sum[group]) & counts)).Store(own);
                sum[group] = Vector512.Load(counted + (group * CpuActivations.VectorLanes)) / sum[group];
            }

            if (dz != null)
            {
                Scale(dz, sum, counted, groups);
                for (int lane = 0; lane < valid; lane++)
                {
                    if (wanted[lane] >= 0)
                    {
                        dz[(wanted[lane] * width) + lane] -= scale;
                    }
                }
            }
        }

        /// <summary>dz *= factors; exactly 0 where a lane is not counted, whatever its logits are.</summary>
        private void Scale(float* dz, Vector512<float>* factors, float* counted, int groups)
        {
            Vector512<float>* mask = stackalloc Vector512<float>[groups];
            for (int group = 0; group < groups; group++)
            {
                mask[group] = Vector512.GreaterThan(Vector512.Load(counted + (group * CpuActivations.VectorLanes)), Vector512<float>.Zero);
            }

            for (int v = 0; v < logits.Channels; v++)
            {
                for (int group = 0; group < groups; group++, dz += CpuActivations.VectorLanes)
                {
                    ((Vector512.Load(dz) * factors[group]) & mask[group]).Store(dz);
                }
            }
        }
    }
}
