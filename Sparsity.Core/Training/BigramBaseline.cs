namespace Sparsity.Core.Training;

/// <summary>
/// The loss of the best predictor that sees only the current token: P(b|a) = (count(a,b) + w * P(b)) / (count(a) + w), counted on the
/// training tokens, with the unigram P(b) = (count(b) + 1) / (N + V), and the weight w chosen among powers of two as the best on the
/// validation tokens. What a model must beat.
/// </summary>
internal static class BigramBaseline
{
    /// <summary>Mean cross-entropy in nats over the T-1 predicted positions of each window of the validation batches.</summary>
    /// <param name="training">Tokens to count.</param>
    /// <param name="validation">Batches [B,T], one after another.</param>
    /// <param name="contextTokens">T.</param>
    /// <param name="vocabulary">V.</param>
    public static double Loss(ReadOnlySpan<ushort> training, ReadOnlySpan<int> validation, int contextTokens, int vocabulary)
    {
        var pairs = new int[(long)vocabulary * vocabulary];
        var singles = new long[vocabulary];
        var firsts = new long[vocabulary];
        for (int i = 0; i < training.Length; i++)
        {
            singles[training[i]]++;
            if (i + 1 < training.Length)
            {
                firsts[training[i]]++;
                pairs[((long)training[i] * vocabulary) + training[i + 1]]++;
            }
        }

        double best = double.PositiveInfinity;
        for (double weight = 0.125; weight <= 1024; weight *= 2)
        {
            double sum = 0;
            long counted = 0;
            for (int i = 0; i + 1 < validation.Length; i++)
            {
                if (i % contextTokens == contextTokens - 1)
                {
                    continue;
                }

                int a = validation[i];
                int b = validation[i + 1];
                double unigram = (singles[b] + 1.0) / (training.Length + vocabulary);
                sum -= Math.Log((pairs[((long)a * vocabulary) + b] + (weight * unigram)) / (firsts[a] + weight));
                counted++;
            }

            best = Math.Min(best, sum / counted);
        }

        return best;
    }
}
