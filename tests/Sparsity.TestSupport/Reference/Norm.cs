using Sparsity.Core.Engine;

namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>
    /// RMSNorm or LayerNorm over the channels of each token, and their statistics [B,T,2]: mean (0 for RMSNorm) and reciprocal deviation.
    /// </summary>
    /// <param name="scale">[B,T,2] statistics whose reciprocal deviations are taken in place of the input's own.</param>
    public static (double[,,] Output, double[,,] Statistics) Norm(
        NormKind kind,
        double[,,] input,
        double[] weight,
        double[]? bias,
        double[,,]? scale = null
    )
    {
        int channels = input.GetLength(2);
        var output = (double[,,])input.Clone();
        var statistics = new double[input.GetLength(0), input.GetLength(1), 2];
        for (int b = 0; b < input.GetLength(0); b++)
        {
            for (int t = 0; t < input.GetLength(1); t++)
            {
                double mean = 0;
                for (int c = 0; c < channels && kind == NormKind.LayerNorm; c++)
                {
                    mean += input[b, t, c] / channels;
                }

                double variance = 0;
                for (int c = 0; c < channels; c++)
                {
                    variance += (input[b, t, c] - mean) * (input[b, t, c] - mean) / channels;
                }

                double reciprocal = scale is not null
                    ? scale[b, t, 1]
                    : 1 / Math.Sqrt(variance + (kind == NormKind.LayerNorm ? 1e-5f : 1.1920929e-7f));
                for (int c = 0; c < channels; c++)
                {
                    output[b, t, c] = ((input[b, t, c] - mean) * reciprocal * weight[c]) + (bias is null ? 0 : bias[c]);
                }

                statistics[b, t, 0] = mean;
                statistics[b, t, 1] = reciprocal;
            }
        }

        return (output, statistics);
    }
}
