namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>One Adam step as IComputeEngine.AdamStep states it; overwrites weights and moments.</summary>
    public static void AdamStep(
        Span<double> weights,
        ReadOnlySpan<double> gradient,
        Span<double> firstMoment,
        Span<double> secondMoment,
        double gradientScale,
        double learningRate,
        double beta1,
        double beta2,
        double epsilon,
        int step
    )
    {
        for (int i = 0; i < weights.Length; i++)
        {
            double g = gradient[i] * gradientScale;
            firstMoment[i] = (beta1 * firstMoment[i]) + ((1 - beta1) * g);
            secondMoment[i] = (beta2 * secondMoment[i]) + ((1 - beta2) * g * g);
            double m = firstMoment[i] / (1 - Math.Pow(beta1, step));
            double v = secondMoment[i] / (1 - Math.Pow(beta2, step));
            weights[i] -= learningRate * m / (Math.Sqrt(v) + epsilon);
        }
    }

    /// <summary>sqrt(mean of squares) over all entries of all arrays.</summary>
    public static double RootMeanSquare(params Array[] arrays) =>
        Math.Sqrt(arrays.Sum(array => Flat.Dot(array, array)) / arrays.Sum(array => array.Length));
}
