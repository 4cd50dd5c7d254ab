namespace Sparsity.Core;

/// <summary>
/// A number that training or pruning depends on is NaN or infinite, or is no longer the same on every rank. The command line reports it and
/// exits with code 1.
/// </summary>
/// <param name="message">Which number, where, and what became of the run.</param>
public sealed class NumericalException(string message) : Exception(message)
{
    /// <summary>The guard of weights that are read.</summary>
    /// <param name="values">All of a tensor.</param>
    /// <param name="path">The file they are from.</param>
    /// <param name="name">The tensor's.</param>
    /// <exception cref="NumericalException">One is not finite.</exception>
    public static void RequireFinite(ReadOnlySpan<float> values, string path, string name)
    {
        foreach (float value in values)
        {
            if (!float.IsFinite(value))
            {
                throw new NumericalException(
                    $"{path}: the logits are not finite: the weights hold {(float.IsNaN(value) ? "NaN" : "infinity")}, in {name}. Use "
                        + $"another copy or an earlier checkpoint."
                );
            }
        }
    }

    /// <summary>The guard of what a model computes from weights that are finite.</summary>
    /// <param name="value">A loss, or a difference of logits.</param>
    /// <param name="what">What it is.</param>
    /// <exception cref="NumericalException">It is not finite.</exception>
    public static double RequireFinite(double value, string what) =>
        double.IsFinite(value)
            ? value
            : throw new NumericalException(
                $"{what} is {value}: the model's numbers grow beyond what fits. Check its weights, and what was changed in it."
            );
}
