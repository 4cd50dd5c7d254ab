using Sparsity.Core.Engine;

namespace Sparsity.TestSupport;

internal static partial class Reference
{
    public static double[,,] Activation(ActivationKind kind, double[,,] input)
    {
        var result = (double[,,])input.Clone();
        foreach (ref double value in Flat.Of(result))
        {
            value = kind == ActivationKind.Gelu ? Gelu(value) : Math.Max(value, 0);
        }

        return result;
    }

    /// <summary>x * Phi(x), with Phi(x) = erfc(-x / sqrt(2)) / 2, so that nothing cancels for negative x.</summary>
    public static double Gelu(double x) => x * 0.5 * ComplementaryErf(-x / Math.Sqrt(2));

    /// <summary>The error function to about 1e-15.</summary>
    public static double Erf(double x) => Math.Abs(x) < 2 ? ErfSeries(x) : 1 - ComplementaryErf(x);

    /// <summary>1 - erf(x), to about 1e-15 relatively where x &gt;= 2.</summary>
    public static double ComplementaryErf(double x)
    {
        if (Math.Abs(x) < 2)
        {
            return 1 - ErfSeries(x);
        }

        return x < 0 ? 2 - ComplementaryErf(-x) : ComplementaryErfFraction(x);
    }

    /// <summary>2/sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (1 3 5 ... (2n+1)): all terms of one sign.</summary>
    private static double ErfSeries(double x)
    {
        double term = x;
        double sum = x;
        for (int n = 1; n < 100; n++)
        {
            term *= 2 * x * x / ((2 * n) + 1);
            sum += term;
        }

        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    /// <summary>exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))), for x >= 2.</summary>
    private static double ComplementaryErfFraction(double x)
    {
        double fraction = x;
        for (int n = 200; n >= 1; n--)
        {
            fraction = x + (n / 2.0 / fraction);
        }

        return Math.Exp(-x * x) / Math.Sqrt(Math.PI) / fraction;
    }
}
