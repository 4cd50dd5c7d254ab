using System.Text.Json.Serialization;

namespace Sparsity.Core.Circuits;

/// <summary>One node's activations.</summary>
/// <param name="Node">Which.</param>
/// <param name="Pretraining">Over windows of pretraining text.</param>
/// <param name="Task">Over all tokens of the task's test prompts.</param>
/// <param name="Binarisation">Two values in place of all (paper, appendix C).</param>
public sealed record NodeActivations(
    [property: JsonPropertyName("name")] Node Node,
    ActivationSummary Pretraining,
    ActivationSummary Task,
    Binarisation Binarisation
);

/// <summary>A node's activations over one text.</summary>
/// <param name="Count">Token positions.</param>
/// <param name="ZeroShare">Share of activations that are exactly 0, as AbsTopK leaves them.</param>
/// <param name="Histogram">Counts between minimum and maximum.</param>
/// <param name="Examples">Places in the text near the ends: for each of 0.1, 1, 10 and 50 percent the top ones, then the bottom
/// ones.</param>
public sealed record ActivationSummary(
    long Count,
    double Mean,
    double Deviation,
    double Minimum,
    double Maximum,
    double ZeroShare,
    ActivationHistogram Histogram,
    IReadOnlyList<ActivationExample> Examples
);

/// <summary>Bins of equal width from <paramref name="Minimum"/> to <paramref name="Maximum"/>, the last one closed.</summary>
public sealed record ActivationHistogram(double Minimum, double Maximum, IReadOnlyList<long> Counts)
{
    private const int Digits = 5;

    /// <summary>Counts values; the ends are rounded to five significant digits.</summary>
    /// <param name="values">From 1.</param>
    /// <param name="bins">How many.</param>
    internal static ActivationHistogram Of(IReadOnlyCollection<float> values, int bins)
    {
        double minimum = values.Min();
        double maximum = values.Max();
        var counts = new long[bins];
        foreach (float value in values)
        {
            counts[maximum == minimum ? 0 : Math.Min(bins - 1, (int)((value - minimum) / (maximum - minimum) * bins))]++;
        }

        return new ActivationHistogram(SignificantDigits.Rounded(minimum, Digits), SignificantDigits.Rounded(maximum, Digits), counts);
    }
}

/// <summary>The upper or the lower end of a node's activations.</summary>
public enum ActivationEnd
{
    Top,
    Bottom,
}

/// <summary>A place in the text.</summary>
/// <param name="End">Which end is counted from.</param>
/// <param name="Percent">How far from the end the activation lies: 1 is the place that 1 percent of all lie beyond.</param>
/// <param name="Position">Index into <paramref name="Tokens"/> of the place itself.</param>
/// <param name="Tokens">The text around it, token by token, escaped where not printable.</param>
/// <param name="Values">The node's activation at each of these tokens.</param>
public sealed record ActivationExample(
    ActivationEnd End,
    double Percent,
    int Position,
    IReadOnlyList<string> Tokens,
    IReadOnlyList<double> Values
);
