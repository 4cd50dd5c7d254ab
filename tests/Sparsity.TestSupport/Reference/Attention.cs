namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>
    /// Causal attention with an optional sink logit per head; output [B,T,H*Dh] and the logarithm of each softmax's denominator [B,T,H].
    /// </summary>
    public static (double[,,] Output, double[,,] LogSumExp) Attention(
        double[,,] query,
        double[,,] key,
        double[,,] value,
        int heads,
        double[]? sink
    )
    {
        int tokens = query.GetLength(1);
        int width = query.GetLength(2) / heads;
        var output = new double[query.GetLength(0), tokens, query.GetLength(2)];
        var logSumExp = new double[query.GetLength(0), tokens, heads];
        var scores = new double[tokens];
        for (int b = 0; b < query.GetLength(0); b++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int i = 0; i < tokens; i++)
                {
                    double maximum = sink is null ? double.NegativeInfinity : sink[h];
                    for (int j = 0; j <= i; j++)
                    {
                        double score = 0;
                        for (int d = h * width; d < (h + 1) * width; d++)
                        {
                            score += query[b, i, d] * key[b, j, d];
                        }

                        scores[j] = score / Math.Sqrt(width);
                        maximum = Math.Max(maximum, scores[j]);
                    }

                    double sum = sink is null ? 0 : Math.Exp(sink[h] - maximum);
                    for (int j = 0; j <= i; j++)
                    {
                        scores[j] = Math.Exp(scores[j] - maximum);
                        sum += scores[j];
                    }

                    for (int j = 0; j <= i; j++)
                    {
                        for (int d = h * width; d < (h + 1) * width; d++)
                        {
                            output[b, i, d] += scores[j] / sum * value[b, j, d];
                        }
                    }

                    logSumExp[b, i, h] = maximum + Math.Log(sum);
                }
            }
        }

        return (output, logSumExp);
    }
}
