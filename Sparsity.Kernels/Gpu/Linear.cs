using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// output [O] = weight [O,I] * input [I] + bias, for every token. Sparse weights go over their nonzero entries, dense ones through register
/// tiles; the weight gradient passes over the output gradients that AbsTopK zeroed.
/// </summary>
internal static class Linear
{
    /// <summary>So many groups keep every multiprocessor busy; sums over tokens are split up to get them.</summary>
    private const int WantedGroups = 512;

    private const int MinimumSplitTokens = 256;

    /// <summary>Overwrites output [B,T,O].</summary>
    public static void Forward(GpuDevice device, GpuActivations input, GpuWeights weight, GpuWeights? bias, GpuActivations output)
    {
        ArrayView<float> biases = bias?.View ?? weight.View;
        int hasBias = bias is null ? 0 : 1;
        if (weight.Sparse.IsUseful)
        {
            SparseProduct.Run(device, weight.Sparse.ByRows, input, output, biases, hasBias);
        }
        else
        {
            DenseProduct.Run(
                device,
                new Operand(input.View, input.Stride, 1),
                new Operand(weight.View, weight.Columns, 1),
                output.View,
                output.Stride,
                output.Rows,
                weight.Rows,
                weight.Columns,
                biases,
                hasBias
            );
        }

        output.IsKept = false;
    }

    /// <summary>Overwrites inputGradient [B,T,I] with weight^T * outputGradient.</summary>
    public static void BackwardInput(GpuDevice device, GpuWeights weight, GpuActivations outputGradient, GpuActivations inputGradient)
    {
        if (weight.Sparse.IsUseful)
        {
            SparseProduct.Run(device, weight.Sparse.ByColumns, outputGradient, inputGradient, weight.View, 0);
        }
        else
        {
            DenseProduct.Run(
                device,
                new Operand(outputGradient.View, outputGradient.Stride, 1),
                new Operand(weight.View, 1, weight.Columns),
                inputGradient.View,
                inputGradient.Stride,
                inputGradient.Rows,
                weight.Columns,
                weight.Rows,
                weight.View,
                0
            );
        }

        inputGradient.IsKept = false;
    }

    /// <summary>
    /// Accumulates outputGradient^T * input over tokens into weightGradient [O,I], and outputGradient over tokens into biasGradient [O].
    /// </summary>
    public static void BackwardWeight(
        GpuDevice device,
        GpuActivations input,
        GpuActivations outputGradient,
        GpuWeights weightGradient,
        GpuWeights? biasGradient
    )
    {
        int rows = weightGradient.Rows;
        int columns = weightGradient.Columns;
        bool isMasked = device.SkipsZeros && outputGradient.IsKept && columns >= MaskedProduct.LeastColumns;
        int tiles = isMasked ? MaskedProduct.Tiles(rows, columns) : DenseProduct.Tiles(rows, columns);
        int tokens = input.Rows;
        int splits = Math.Clamp(Math.Min(WantedGroups / tiles, tokens / MinimumSplitTokens), 1, WantedGroups);
        int tokensOfSplit = (tokens + splits - 1) / splits;
        ArrayView<float> target =
            splits == 1 ? weightGradient.View : device.Workspace<float>("weight gradient", splits * weightGradient.Length);
        if (isMasked)
        {
            MaskedProduct.Run(device, input, outputGradient, target, rows, columns, tokensOfSplit, splits);
        }
        else
        {
            DenseProduct.RunSplit(
                device,
                new Operand(outputGradient.View, 1, outputGradient.Stride),
                new Operand(input.View, 1, input.Stride),
                target,
                rows,
                columns,
                tokens,
                tokensOfSplit,
                splits
            );
        }

        if (splits > 1)
        {
            device.LaunchForEach(weightGradient.Length, new AddSplitsKernel(target, splits, weightGradient.Length, weightGradient.View));
        }

        weightGradient.Changed(weightGradient.Length);
        if (biasGradient is not null)
        {
            ChannelReduction.AccumulateSums(device, outputGradient, biasGradient);
        }
    }

    /// <summary>Adds the sums of all splits, in order.</summary>
    internal readonly struct AddSplitsKernel(ArrayView<float> sums, int splits, int length, ArrayView<float> target) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                float sum = 0f;
                for (int split = 0; split < splits; split++)
                {
                    sum += sums[(split * length) + i];
                }

                target[i] += sum;
            }
        }
    }
}
