using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// output [O] = weight [O,I] * input [I] + bias, for every token. Sparse weights go over their nonzero entries, dense ones through register
/// tiles; the weight gradient passes over the output gradients that AbsTopK zeroed.
/// </summary>
internal static class Linear
{
    /// <summary>Sums over tokens are split up to keep every multiprocessor busy, but no further than this.</summary>
    private const int MinimumSplitTokens = 256;

    /// <summary>The kernels go over the tokens in steps of so many.</summary>
    private const int TokensOfStep = 16;

    /// <summary>Overwrites output [B,T,O].</summary>
    public static void Forward(GpuDevice device, GpuActivations input, GpuWeights weight, GpuWeights? bias, GpuActivations output)
    {
        ArrayView<float> biases = bias?.View ?? weight.View;
        if (weight.Sparse.IsUseful)
        {
            SparseProduct.Run(device, weight.Sparse.ByRows, input, output, biases, bias is null ? 0 : 1);
        }
        else
        {
            var target = new ProductTarget(
                output.View,
                biases,
                output.Stride,
                output.Rows,
                weight.Rows,
                0,
                bias is null ? ProductTarget.Nothing : ProductTarget.Bias,
                output.IsAligned ? 1 : 0
            );
            DenseProduct.Run<ForwardForm>(
                device,
                Operand.Tokens(input),
                Operand.Rows(weight),
                input.IsAligned && weight.IsAligned,
                target,
                weight.Columns,
                weight.Columns,
                splits: 1
            );
        }
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
            var target = new ProductTarget(
                inputGradient.View,
                weight.View,
                inputGradient.Stride,
                inputGradient.Rows,
                weight.Columns,
                0,
                ProductTarget.Nothing,
                inputGradient.IsAligned ? 1 : 0
            );
            DenseProduct.Run<InputGradientForm>(
                device,
                Operand.Tokens(outputGradient),
                Operand.Columns(weight),
                outputGradient.IsAligned && weight.IsAligned,
                target,
                weight.Rows,
                weight.Rows,
                splits: 1
            );
        }
    }

    /// <summary>Accumulates outputGradient^T * input over tokens into weightGradient [O,I].</summary>
    public static void BackwardWeight(GpuDevice device, GpuActivations input, GpuActivations outputGradient, GpuWeights weightGradient)
    {
        int rows = weightGradient.Rows;
        int columns = weightGradient.Columns;
        bool isMasked = device.SkipsZeros && outputGradient.IsMostlyZero && columns >= MaskedProduct.LeastColumns;
        int tokens = input.Rows;
        int mostSplits = Math.Max(1, tokens / MinimumSplitTokens);
        int groups = isMasked ? MaskedProduct.Groups(rows, columns) : DenseProduct.Groups(device, rows, columns, mostSplits);
        int splits = Math.Clamp(DenseProduct.WantedGroups(device) / groups, 1, mostSplits);
        int tokensOfSplit = RoundUp((tokens + splits - 1) / splits, TokensOfStep);
        splits = (tokens + tokensOfSplit - 1) / tokensOfSplit;
        ArrayView<float> sums =
            splits == 1 ? weightGradient.View : device.Workspace<float>("weight gradient", splits * weightGradient.Length);
        var target = new ProductTarget(
            sums,
            sums,
            columns,
            rows,
            columns,
            weightGradient.Length,
            splits == 1 ? ProductTarget.Product : ProductTarget.Nothing,
            weightGradient.IsAligned ? 1 : 0
        );
        if (isMasked)
        {
            MaskedProduct.Run(device, input, outputGradient, target, tokensOfSplit, splits);
        }
        else
        {
            DenseProduct.Run<WeightGradientForm>(
                device,
                Operand.Channels(outputGradient),
                Operand.Channels(input),
                outputGradient.IsAligned && input.IsAligned,
                target,
                tokens,
                tokensOfSplit,
                splits
            );
        }

        if (splits > 1)
        {
            device.LaunchForEach(weightGradient.Length, new AddSplitsKernel(sums, splits, weightGradient.Length, weightGradient.View));
        }
    }

    private static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

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
