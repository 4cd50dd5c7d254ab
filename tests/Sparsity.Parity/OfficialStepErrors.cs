using Sparsity.Core.Training;

namespace Sparsity.Parity;

/// <summary>
/// How far float32 takes the weights of one parameter from the exact ones in one Adam step from the official state, in two parts:
/// <list type="bullet">
/// <item>the gradient's error (<see cref="OfficialFixture.Error"/>) times the derivative of the weight with respect to the gradient;</item>
/// <item>rounding: half a unit in the last place of the new weight, and a few of the update.</item>
/// </list>
/// Where the fixture states the error of the weights after Adam, that is taken instead.
/// </summary>
internal sealed class OfficialStepErrors
{
    /// <summary>The largest of a thousand normal errors is a little over three standard deviations, of a million near five.</summary>
    private const double SigmasInLargest = 4;

    private const double HalfUnit = 1.0 / (1 << 24);

    private const double UnitsOfUpdate = 4;

    private readonly double[] _sigmas;

    public OfficialStepErrors(OfficialStep step, string parameter)
    {
        OfficialFixture fixture = step.Fixture;
        string afterAdam = step.Tensor("after_adam", parameter);
        float[] after = fixture.Floats(afterAdam);
        if (fixture.StatedError(afterAdam) is { } stated)
        {
            Largest = stated;
            _sigmas = [.. Enumerable.Repeat(Largest / SigmasInLargest, after.Length)];
            return;
        }

        TrainingConfig training = step.Training;
        float[] gradient = fixture.Floats(step.Tensor("gradient", parameter));
        float[] first = step.Moment("before_adam_m", parameter);
        float[] second = step.Moment("before_adam_v", parameter);
        double gradientError = fixture.Error(step.Tensor("gradient", parameter));
        double rms = step.Expected.GetProperty("grad_rms").GetDouble();
        double scale = training.GradientScaling == GradientScaling.Normalize ? 1 / (rms + 1e-5) : 1;
        double rate = step.Expected.GetProperty("lr").GetDouble();
        double firstShare = (1 - training.AdamBeta1) / (1 - Math.Pow(training.AdamBeta1, step.Number + 1));
        double secondShare = (1 - training.AdamBeta2) / (1 - Math.Pow(training.AdamBeta2, step.Number + 1));
        _sigmas = new double[after.Length];
        for (int i = 0; i < after.Length; i++)
        {
            double g = scale * gradient[i];
            double mean = firstShare * ((training.AdamBeta1 / (1 - training.AdamBeta1) * first[i]) + g);
            double root = Math.Sqrt(secondShare * ((training.AdamBeta2 / (1 - training.AdamBeta2) * second[i]) + (g * g)));
            double divisor = root + training.Eps;

            // d/dg of mean / (root + epsilon).
            double slope = (firstShare / divisor) - (root > 0 ? mean * secondShare * g / (root * divisor * divisor) : 0);
            double fromGradient = rate * scale * Math.Abs(slope) * gradientError;
            double rounding = HalfUnit * (Math.Abs(after[i]) + (UnitsOfUpdate * rate * Math.Abs(mean) / divisor));
            Largest = Math.Max(Largest, fromGradient + rounding);

            // Rounding errors spread evenly over their range.
            _sigmas[i] = Math.Sqrt(Math.Pow(fromGradient / SigmasInLargest, 2) + (rounding * rounding / 3));
        }
    }

    /// <summary>The largest error of any entry.</summary>
    public double Largest { get; }

    /// <summary>Standard deviation of the error of the difference of two entries' magnitudes.</summary>
    public double SigmaOfGap(int entry, int other) => Math.Sqrt((_sigmas[entry] * _sigmas[entry]) + (_sigmas[other] * _sigmas[other]));
}
