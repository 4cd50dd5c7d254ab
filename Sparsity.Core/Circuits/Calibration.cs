using Sparsity.Core.Tasks;

namespace Sparsity.Core.Circuits;

/// <summary>A scale and a shift of the logit difference, and the task loss without and with them.</summary>
public sealed record CalibrationResult(double Scale, double Shift, double LossBefore, double LossAfter);

/// <summary>
/// Fits scale and shift of a circuit's logit difference by L-BFGS (docs/method.md section 4), with backtracking until the loss falls
/// enough.
/// </summary>
internal static class Calibration
{
    private const int Memory = 8;

    /// <param name="differences">Of the prompts to fit on.</param>
    /// <param name="steps">Most steps; the paper takes 16.</param>
    public static CalibrationResult Fit(LogitDifferences differences, int steps)
    {
        double[] point = [1, 0];
        (double loss, double[] gradient) = Evaluate(differences, point);
        double before = loss;
        var history = new List<(double[] Step, double[] Change, double Curvature)>();
        for (int i = 0; i < steps && Dot(gradient, gradient) > 1e-20; i++)
        {
            double[] direction = Direction(gradient, history);
            double slope = Dot(direction, gradient);
            double length = history.Count == 0 ? Math.Min(1, 1 / Math.Sqrt(Dot(gradient, gradient))) : 1;
            double[] next = point;
            double nextLoss = loss;
            double[] nextGradient = gradient;
            for (int halvings = 0; halvings < 30; halvings++, length /= 2)
            {
                next = [point[0] + (length * direction[0]), point[1] + (length * direction[1])];
                (nextLoss, nextGradient) = Evaluate(differences, next);
                if (nextLoss <= loss + (1e-4 * length * slope))
                {
                    break;
                }
            }

            if (!(nextLoss < loss))
            {
                break;
            }

            double[] step = [next[0] - point[0], next[1] - point[1]];
            double[] change = [nextGradient[0] - gradient[0], nextGradient[1] - gradient[1]];
            double curvature = Dot(step, change);
            if (curvature > 1e-12)
            {
                history.Add((step, change, curvature));
                if (history.Count > Memory)
                {
                    history.RemoveAt(0);
                }
            }

            (point, loss, gradient) = (next, nextLoss, nextGradient);
        }

        return new CalibrationResult(point[0], point[1], before, loss);
    }

    private static (double Loss, double[] Gradient) Evaluate(LogitDifferences differences, double[] point)
    {
        double scale = 0;
        double shift = 0;
        foreach (var (gradient, difference) in differences.BinaryLossGradient(point[0], point[1]).Zip(differences.Pairs))
        {
            scale += gradient.First * difference.First;
            scale += gradient.Second * difference.Second;
            shift += gradient.First;
            shift += gradient.Second;
        }

        return (differences.BinaryLoss(point[0], point[1]), [scale, shift]);
    }

    /// <summary>The two-loop recursion: minus the inverse Hessian's estimate times the gradient.</summary>
    private static double[] Direction(double[] gradient, List<(double[] Step, double[] Change, double Curvature)> history)
    {
        double[] q = [.. gradient];
        var factors = new double[history.Count];
        for (int i = history.Count - 1; i >= 0; i--)
        {
            factors[i] = Dot(history[i].Step, q) / history[i].Curvature;
            AddScaled(q, -factors[i], history[i].Change);
        }

        if (history.Count > 0)
        {
            double scale = history[^1].Curvature / Dot(history[^1].Change, history[^1].Change);
            q = [q[0] * scale, q[1] * scale];
        }

        for (int i = 0; i < history.Count; i++)
        {
            AddScaled(q, factors[i] - (Dot(history[i].Change, q) / history[i].Curvature), history[i].Step);
        }

        return [-q[0], -q[1]];
    }

    private static double Dot(double[] a, double[] b) => (a[0] * b[0]) + (a[1] * b[1]);

    private static void AddScaled(double[] target, double factor, double[] source)
    {
        target[0] += factor * source[0];
        target[1] += factor * source[1];
    }
}
