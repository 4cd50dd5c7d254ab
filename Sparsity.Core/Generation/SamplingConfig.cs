namespace Sparsity.Core.Generation;

/// <summary>How the next token is drawn.</summary>
public sealed record SamplingConfig
{
    /// <summary>Divides the logits; 0 takes the likeliest token always.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Only the k likeliest tokens; null for all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability, in (0, 1].</summary>
    public double TopP { get; init; } = 0.95;

    /// <exception cref="BadInputException">A field is out of range.</exception>
    public SamplingConfig Validated()
    {
        if (Temperature is not (>= 0 and <= 1e6))
        {
            throw new BadInputException(FormattableString.Invariant($"temperature is {Temperature}, but must be 0 to 1000000."));
        }

        if (TopK < 1)
        {
            throw new BadInputException($"top-k is {TopK}, but must be at least 1.");
        }

        if (!(TopP is > 0 and <= 1))
        {
            throw new BadInputException(FormattableString.Invariant($"top-p is {TopP}, but must be in (0, 1]."));
        }

        return this;
    }

    /// <summary>Draws a token.</summary>
    /// <param name="logits">[V], at least one finite; of equal ones the lower id is the likelier. Minus infinity is never drawn.</param>
    /// <param name="random">Advanced by one number unless the temperature is 0.</param>
    internal int Draw(ReadOnlySpan<float> logits, RandomSource random)
    {
        int likeliest = 0;
        for (int token = 1; token < logits.Length; token++)
        {
            likeliest = logits[token] > logits[likeliest] ? token : likeliest;
        }

        if (Temperature == 0)
        {
            return likeliest;
        }

        var weights = new double[logits.Length];
        double total = 0;
        for (int token = 0; token < weights.Length; token++)
        {
            weights[token] = Math.Exp(((double)logits[token] - logits[likeliest]) / Temperature);
            total += weights[token];
        }

        int[] order = Candidates(weights, total);
        double reached = TopP * (TopK is null ? total : order.Sum(token => weights[token]));
        double nucleus = 0;
        int kept = 0;
        while (kept < order.Length && nucleus < reached)
        {
            nucleus += weights[order[kept++]];
        }

        double draw = random.NextDouble() * nucleus;
        int chosen = 0;
        while (chosen < kept - 1 && draw >= weights[order[chosen]])
        {
            draw -= weights[order[chosen++]];
        }

        return order[chosen];
    }

    /// <summary>
    /// The tokens that can be drawn, likeliest first. Without a top-k, tokens below (1 - TopP) * total / V are left out before sorting,
    /// which is most of them: all of those together have less than the share that the nucleus leaves out.
    /// </summary>
    private int[] Candidates(double[] weights, double total)
    {
        double least = TopK is null ? (1 - TopP) * total / weights.Length : 0;
        int[] order = [.. Enumerable.Range(0, weights.Length).Where(token => weights[token] > 0 && weights[token] >= least)];
        Array.Sort(order, (a, b) => weights[a] != weights[b] ? weights[b].CompareTo(weights[a]) : a.CompareTo(b));
        return TopK < order.Length ? order[..TopK.Value] : order;
    }
}
