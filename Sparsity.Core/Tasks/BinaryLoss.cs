namespace Sparsity.Core.Tasks;

/// <summary>
/// The binary task loss over logit differences, entry 2i of pair i's first prompt (a is right), 2i+1 of its second (b is right).
/// </summary>
public static class BinaryLoss
{
    /// <summary>Mean over pairs, in nats, of differences after scale * d + shift.</summary>
    public static double Mean(ReadOnlySpan<double> differences, double scale = 1, double shift = 0)
    {
        double sum = 0;
        for (int i = 0; i < differences.Length; i++)
        {
            double d = (scale * differences[i]) + shift;
            sum += SoftPlus(i % 2 == 0 ? -d : d);
        }

        return sum / differences.Length;
    }

    /// <summary>
    /// Overwrites <paramref name="gradients"/> with the derivative of <see cref="Mean"/> with respect to each scale * d + shift.
    /// </summary>
    public static void Gradient(ReadOnlySpan<double> differences, Span<double> gradients, double scale = 1, double shift = 0)
    {
        for (int i = 0; i < differences.Length; i++)
        {
            double d = (scale * differences[i]) + shift;
            gradients[i] = (i % 2 == 0 ? -1 / (1 + Math.Exp(d)) : 1 / (1 + Math.Exp(-d))) / differences.Length;
        }
    }

    /// <summary>Share of prompts whose right answer has the larger logit; an exact tie counts half.</summary>
    public static double Accuracy(ReadOnlySpan<double> differences)
    {
        double right = 0;
        for (int i = 0; i < differences.Length; i++)
        {
            double d = i % 2 == 0 ? differences[i] : -differences[i];
            right +=
                d > 0 ? 1
                : d == 0 ? 0.5
                : 0;
        }

        return right / differences.Length;
    }

    /// <summary>log(1 + e^x) without overflow.</summary>
    private static double SoftPlus(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
}
