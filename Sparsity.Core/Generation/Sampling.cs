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
        if (!(Temperature >= 0))
        {
            throw new BadInputException(FormattableString.Invariant($"temperature is {Temperature}, but must be at least 0."));
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
    /// <param name="logits">[V].</param>
    /// <param name="random">Advanced by one number unless the temperature is 0.</param>
    public int Draw(ReadOnlySpan<float> logits, RandomSource random)
    {
        int[] order = [.. Enumerable.Range(0, logits.Length)];
        float[] values = logits.ToArray();
        Array.Sort(order, (a, b) => values[a] != values[b] ? values[b].CompareTo(values[a]) : a.CompareTo(b));
        if (Temperature == 0)
        {
            return order[0];
        }

        int candidates = Math.Min(TopK ?? order.Length, order.Length);
        var weights = new double[candidates];
        for (int i = 0; i < candidates; i++)
        {
            weights[i] = Math.Exp((values[order[i]] - values[order[0]]) / Temperature);
        }

        double total = weights.Sum();
        double nucleus = 0;
        int kept = 0;
        while (kept < candidates && nucleus < TopP * total)
        {
            nucleus += weights[kept++];
        }

        double draw = random.NextDouble() * nucleus;
        int chosen = 0;
        while (chosen < kept - 1 && draw >= weights[chosen])
        {
            draw -= weights[chosen++];
        }

        return order[chosen];
    }
}
