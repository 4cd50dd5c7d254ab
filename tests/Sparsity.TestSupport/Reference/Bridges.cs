namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>[B,T,1]: sum over v of q (log q - log p), q and p the softmax of target and logits [B,T,V].</summary>
    public static double[,,] KullbackLeibler(double[,,] target, double[,,] logits)
    {
        var losses = new double[logits.GetLength(0), logits.GetLength(1), 1];
        for (int b = 0; b < losses.GetLength(0); b++)
        {
            for (int t = 0; t < losses.GetLength(1); t++)
            {
                double normaliserQ = LogSumExp(target, b, t);
                double normaliserP = LogSumExp(logits, b, t);
                for (int v = 0; v < logits.GetLength(2); v++)
                {
                    double logQ = target[b, t, v] - normaliserQ;
                    losses[b, t, 0] += Math.Exp(logQ) * (logQ - (logits[b, t, v] - normaliserP));
                }
            }
        }

        return losses;
    }

    /// <summary>sum of (prediction - target)^2, and of target^2.</summary>
    public static (double Error, double Square) NormalisedError(Array prediction, Array target)
    {
        double error = 0;
        double square = 0;
        Span<double> x = Flat.Of(prediction);
        Span<double> y = Flat.Of(target);
        for (int i = 0; i < x.Length; i++)
        {
            error += (x[i] - y[i]) * (x[i] - y[i]);
            square += y[i] * y[i];
        }

        return (error, square);
    }

    private static double LogSumExp(double[,,] logits, int b, int t)
    {
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

        return maximum + Math.Log(sum);
    }
}
