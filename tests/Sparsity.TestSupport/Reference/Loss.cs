namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>[B,T,1]: -log softmax(logits)[target], 0 where the target is negative.</summary>
    public static double[,,] CrossEntropy(double[,,] logits, int[,] targets)
    {
        var losses = new double[logits.GetLength(0), logits.GetLength(1), 1];
        for (int b = 0; b < losses.GetLength(0); b++)
        {
            for (int t = 0; t < losses.GetLength(1); t++)
            {
                if (targets[b, t] < 0)
                {
                    continue;
                }

                double maximum = double.NegativeInfinity;
                for (int v = 0; v < logits.GetLength(2); v++)
                {
                    maximum = Math.Max(maximum, logits[b, t, v]);
                }

                double sum = 0;
                for (int v = 0; v < logits.GetLength(2); v++)
                {
                    sum += Math.Exp(logits[b, t, v] - maximum);
                }

                losses[b, t, 0] = maximum - logits[b, t, targets[b, t]] + Math.Log(sum);
            }
        }

        return losses;
    }

    /// <summary>logits [B,T,V] plus the table's row of each token.</summary>
    public static double[,,] Bigram(int[,] tokens, double[,] table, double[,,] logits)
    {
        var result = (double[,,])logits.Clone();
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int t = 0; t < result.GetLength(1); t++)
            {
                for (int v = 0; v < result.GetLength(2); v++)
                {
                    result[b, t, v] += table[tokens[b, t], v];
                }
            }
        }

        return result;
    }
}
