using System.Text.Json;
using Sparsity.Core.Model;

namespace Sparsity.Parity;

/// <summary>A step compared with the official one, quantity by quantity (docs/official.md says with which tolerances).</summary>
internal static class OfficialStepComparison
{
    private const double LossTolerance = 5e-6;

    /// <summary>Relative.</summary>
    private const double GradientRmsTolerance = 1e-6;

    /// <summary>
    /// Entries that changed places in a selection may differ by so many standard deviations of the float32 error of that difference.
    /// </summary>
    private const double SigmasOfTie = 5;

    /// <summary>One result for each number of the step and each tensor of each parameter.</summary>
    public static IEnumerable<ParityResult> Compare(OfficialStep step, StepValues actual)
    {
        JsonElement expected = step.Expected;
        string prefix = $"step {step.Number}, ";
        yield return Number(prefix + "learning rate", expected.GetProperty("lr").GetDouble(), actual.LearningRate, 1e-12);
        if (expected.GetProperty("pfrac").ValueKind == JsonValueKind.Number)
        {
            yield return Number(prefix + "pfrac", expected.GetProperty("pfrac").GetDouble(), actual.Pfrac, 1e-12);
        }

        yield return Number(prefix + "loss", expected.GetProperty("loss").GetDouble(), actual.Loss, LossTolerance);
        double rms = expected.GetProperty("grad_rms").GetDouble();
        yield return Number(prefix + "RMS of the gradient", rms, actual.GradientRms, GradientRmsTolerance * rms);
        foreach (ParameterSpec spec in ParameterSpec.ListFor(step.Model))
        {
            bool isTrained = actual.Gradients.ContainsKey(spec.Name);
            foreach (ParityResult result in isTrained ? Trained(step, actual, spec) : Untrained(step, actual, spec))
            {
                yield return result with
                {
                    Name = $"{prefix}{spec.Name}, {result.Name}",
                };
            }
        }
    }

    private static IEnumerable<ParityResult> Untrained(OfficialStep step, StepValues actual, ParameterSpec spec) =>
        from stage in new[] { ("after_adam", actual.AfterAdam), ("after", actual.After) }
        let tensor = step.Tensor(stage.Item1, spec.Name)
        where step.Fixture.Contains(tensor)
        select Tensor(stage.Item1, step.Fixture.Floats(tensor), stage.Item2[spec.Name], 0);

    private static IEnumerable<ParityResult> Trained(OfficialStep step, StepValues actual, ParameterSpec spec)
    {
        string parameter = spec.Name;
        OfficialFixture fixture = step.Fixture;
        string gradient = step.Tensor("gradient", parameter);
        yield return Tensor("gradient", fixture.Floats(gradient), actual.Gradients[parameter], fixture.Tolerance(gradient));

        string afterAdam = step.Tensor("after_adam", parameter);
        var errors = new OfficialStepErrors(step, parameter);
        double tolerance = (20 * errors.Largest) + (1e-6 * fixture.LargestMagnitude(afterAdam));
        yield return Tensor("weights after Adam", fixture.Floats(afterAdam), actual.AfterAdam[parameter], tolerance);

        JsonElement k = step.Expected.GetProperty("k").TryGetProperty(parameter, out JsonElement stated) ? stated : default;
        if (k.ValueKind == JsonValueKind.Number)
        {
            yield return Number("entries to keep", k.GetInt32(), actual.Kept[parameter], 0);
        }

        // The script selects vectors but never zeroes them.
        float[] weights = fixture.Floats(afterAdam);
        float[] after = actual.After[parameter];
        bool[]? kept = null;
        if (k.ValueKind == JsonValueKind.Number && spec.Shape.Count == 2)
        {
            kept = OfficialSelection(step, spec, weights, k.GetInt32());
            yield return Support(weights, kept, after, errors);
        }

        string end = step.Tensor("after", parameter);
        float[] expected = fixture.Contains(end) ? fixture.Floats(end) : Decayed(step, spec, weights, kept);

        // Where only one of them is zero is the support's matter.
        Func<int, bool> isCompared = entry => kept is null || expected[entry] == 0 == (after[entry] == 0);
        yield return Tensor("weights after selection", expected, after, tolerance, isCompared);
    }

    /// <summary>The official weights at the end of the step.</summary>
    private static float[] Decayed(OfficialStep step, ParameterSpec spec, float[] afterAdam, bool[]? kept)
    {
        double factor = spec.IsDecayed ? 1 - (step.Training.WeightDecay * step.Expected.GetProperty("lr").GetDouble()) : 1;
        return [.. afterAdam.Select((weight, i) => kept is null || kept[i] ? (float)(weight * factor) : 0)];
    }

    /// <summary>
    /// Which entries the script kept: read from the weights it left, or selected from the weights it had and held to what the fixture says
    /// of it.
    /// </summary>
    private static bool[] OfficialSelection(OfficialStep step, ParameterSpec spec, float[] weights, int keep)
    {
        OfficialFixture fixture = step.Fixture;
        string after = step.Tensor("after", spec.Name);
        bool[] kept;
        if (fixture.Contains(after))
        {
            kept = Array.ConvertAll(fixture.Floats(after), value => value != 0);
        }
        else
        {
            var matrix = new double[spec.Rows, spec.Columns];
            weights.Select(weight => (double)weight).ToArray().CopyTo(Flat.Of(matrix));
            kept = ReferenceSelection.KeepLargest(matrix, keep, spec.AliveAxis, step.Training.MinimumAlivePerNeuron);
        }

        int nonzero = Enumerable.Range(0, weights.Length).Count(i => kept[i] && weights[i] != 0);
        int stated = step.Expected.GetProperty("nnz").GetProperty(spec.Name).GetInt32();
        float largestZeroed = weights.Where((_, i) => !kept[i]).Select(Math.Abs).DefaultIfEmpty().Max();
        bool fits =
            !step.Expected.GetProperty("thresholds").TryGetProperty(spec.Name, out JsonElement thresholds)
            || thresholds[1].ValueKind != JsonValueKind.Number
            || (float)thresholds[1].GetDouble() == largestZeroed;
        return nonzero == stated && fits
            ? kept
            : throw new InvalidDataException(
                $"{fixture.Name}, step {step.Number}: of the weights of {spec.Name} after Adam {nonzero} would stay, and the largest "
                    + $"zeroed would be "
                    + $"{largestZeroed}; the fixture says {stated} and {thresholds}."
            );
    }

    /// <summary>
    /// The support, in standard deviations: entries kept on one side only are paired in the order of their magnitudes, and those of a pair
    /// may differ by as much as float32 cannot tell apart.
    /// </summary>
    private static ParityResult Support(float[] weights, bool[] kept, float[] after, OfficialStepErrors errors)
    {
        int[] lost = Sorted(i => kept[i] && weights[i] != 0 && after[i] == 0);
        int[] gained = Sorted(i => !(kept[i] && weights[i] != 0) && after[i] != 0);
        bool same = lost.Length + gained.Length == 0;
        string detail = same ? "" : $"{lost.Length} entries are zero here only, {gained.Length} officially only";
        double worst = lost.Length == gained.Length ? 0 : double.PositiveInfinity;
        foreach ((int entry, int other) in lost.Zip(gained))
        {
            double gap = Math.Abs(Math.Abs((double)weights[entry]) - Math.Abs((double)weights[other]));
            worst = Math.Max(worst, gap == 0 ? 0 : gap / errors.SigmaOfGap(entry, other));
        }

        return new ParityResult("support, in sigma", worst, SigmasOfTie, detail);

        int[] Sorted(Func<int, bool> isOther) => [.. Enumerable.Range(0, weights.Length).Where(isOther).OrderBy(i => Math.Abs(weights[i]))];
    }

    private static ParityResult Number(string name, double expected, double actual, double allowed) =>
        new(name, Distance(expected, actual), allowed, FormattableString.Invariant($"{actual:g9}, expected {expected:g9}"));

    /// <param name="isCompared">Which entries; null for all.</param>
    private static ParityResult Tensor(string name, float[] expected, float[] actual, double allowed, Func<int, bool>? isCompared = null)
    {
        double worst = expected.Length == actual.Length ? 0 : double.PositiveInfinity;
        string detail = $"{actual.Length} numbers, expected {expected.Length}";
        for (int i = 0; i < Math.Min(expected.Length, actual.Length); i++)
        {
            if ((isCompared is null || isCompared(i)) && Distance(expected[i], actual[i]) is var distance && distance > worst)
            {
                worst = distance;
                detail = FormattableString.Invariant($"entry {i}: {actual[i]:g9}, expected {expected[i]:g9}");
            }
        }

        return new ParityResult(name, worst, allowed, worst == 0 ? "" : detail);
    }

    /// <summary>NaN is as far as can be.</summary>
    private static double Distance(double expected, double actual) =>
        double.IsNaN(expected - actual) ? double.PositiveInfinity : Math.Abs(expected - actual);
}
