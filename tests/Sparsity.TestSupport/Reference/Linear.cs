namespace Sparsity.TestSupport;

/// <summary>
/// Every operation of the seam in double precision, as plainly as it can be written. Arrays are [sequence, token, channel]; weights
/// [output, input].
/// </summary>
internal static partial class Reference
{
    /// <summary>output [B,T,O] = input [B,T,I] * weight^T + bias.</summary>
    public static double[,,] Linear(double[,,] input, double[,] weight, double[]? bias)
    {
        int outputs = weight.GetLength(0);
        var result = new double[input.GetLength(0), input.GetLength(1), outputs];
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int t = 0; t < result.GetLength(1); t++)
            {
                for (int o = 0; o < outputs; o++)
                {
                    double sum = bias is null ? 0 : bias[o];
                    for (int i = 0; i < weight.GetLength(1); i++)
                    {
                        sum += weight[o, i] * input[b, t, i];
                    }

                    result[b, t, o] = sum;
                }
            }
        }

        return result;
    }

    public static double[,,] Add(double[,,] a, double[,,] b)
    {
        var result = (double[,,])a.Clone();
        Span<double> sum = Flat.Of(result);
        Span<double> other = Flat.Of(b);
        for (int i = 0; i < sum.Length; i++)
        {
            sum[i] += other[i];
        }

        return result;
    }

    /// <summary>x * mask + mean * (1 - mask), per channel.</summary>
    public static double[,,] Gate(double[,,] input, double[] mask, double[] mean)
    {
        var result = (double[,,])input.Clone();
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int t = 0; t < result.GetLength(1); t++)
            {
                for (int c = 0; c < mask.Length; c++)
                {
                    result[b, t, c] = (input[b, t, c] * mask[c]) + (mean[c] * (1 - mask[c]));
                }
            }
        }

        return result;
    }

    /// <summary>[C]: the sum over all tokens.</summary>
    public static double[] ChannelSums(double[,,] input)
    {
        var sums = new double[input.GetLength(2)];
        for (int b = 0; b < input.GetLength(0); b++)
        {
            for (int t = 0; t < input.GetLength(1); t++)
            {
                for (int c = 0; c < sums.Length; c++)
                {
                    sums[c] += input[b, t, c];
                }
            }
        }

        return sums;
    }
}
