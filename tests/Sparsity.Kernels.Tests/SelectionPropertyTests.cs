using FsCheck;
using FsCheck.Fluent;
using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>
/// What AbsTopK and weight selection hold to for every input: as many as asked for, none smaller than one that went, values untouched.
/// </summary>
public class SelectionPropertyTests
{
    /// <summary>Finite numbers of all magnitudes, many of them equal but for the sign.</summary>
    private static readonly Gen<float> Number = Gen.OneOf(
        Gen.Choose(-3, 3).Select(value => (float)value),
        Gen.Choose(int.MinValue, int.MaxValue).Select(BitConverter.Int32BitsToSingle).Where(float.IsFinite)
    );

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AbsTopKKeepsTheLargest(string engine)
    {
        Gen<(float[] Values, int Keep)> cases =
            from length in Gen.Choose(1, 80)
            from values in Number.ArrayOf(length)
            from keep in Gen.Choose(0, values.Length)
            select (values, keep);
        using IComputeEngine shared = Engines.Create(engine);
        RandomCases.ForAll(
            cases,
            entry =>
            {
                using ActivationTensor values = shared.AllocateActivations("values", 1, 1, entry.Values.Length);
                using SelectionTensor selection = shared.AllocateSelection("selection", 1, 1, entry.Values.Length);
                shared.Write(values, entry.Values);
                shared.AbsTopKForward(values, entry.Keep, selection);
                var kept = new float[entry.Values.Length];
                shared.Read(values, kept);

                using ActivationTensor gradient = shared.AllocateActivations("gradient", 1, 1, entry.Values.Length);
                shared.Write(gradient, [.. Enumerable.Repeat(1f, kept.Length)]);
                shared.AbsTopKBackward(selection, gradient);
                var chosen = new float[kept.Length];
                shared.Read(gradient, chosen);
                return IsLargest(entry.Values, kept, [.. chosen.Select(one => one == 1)], entry.Keep);
            }
        );
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void WeightSelectionKeepsTheLargestAndEveryLineAlive(string engine)
    {
        Gen<(float[] Values, int Rows, int Keep, int? Axis, int Alive)> cases =
            from rows in Gen.Choose(1, 9)
            from columns in Gen.Choose(1, 9)
            from values in Number.Where(value => value != 0).ArrayOf(rows * columns)
            from axis in Gen.Elements<int?>(null, 0, 1)
            from alive in Gen.Choose(
                0,
                axis is null ? 0
                    : axis == 1 ? columns
                    : rows
            )
            from keep in Gen.Choose(axis is null ? 0 : alive * (axis == 1 ? rows : columns), values.Length)
            select (values, rows, keep, axis, alive);
        using IComputeEngine shared = Engines.Create(engine);
        RandomCases.ForAll(
            cases,
            entry =>
            {
                int columns = entry.Values.Length / entry.Rows;
                using WeightTensor weights = shared.AllocateWeights("weights", entry.Rows, columns);
                shared.Write(weights, entry.Values);
                shared.KeepLargest(weights, entry.Keep, entry.Axis, entry.Alive);
                var kept = new float[entry.Values.Length];
                shared.Read(weights, kept);
                IEnumerable<IEnumerable<int>> lines = Enumerable
                    .Range(0, kept.Length)
                    .GroupBy(i => entry.Axis == 1 ? i / columns : i % columns);
                return kept.Count(value => value != 0) == entry.Keep
                    && kept.Zip(entry.Values).All(pair => pair.First == 0 || pair.First == pair.Second)
                    && (
                        entry.Alive > 0
                            ? lines.All(line => line.Count(i => kept[i] != 0) >= entry.Alive)
                            : IsLargest(entry.Values, kept, [.. kept.Select(value => value != 0)], entry.Keep)
                    );
            }
        );
    }

    private static bool IsLargest(float[] values, float[] kept, bool[] chosen, int count)
    {
        float least = float.PositiveInfinity,
            gone = -1;
        for (int i = 0; i < values.Length; i++)
        {
            if (chosen[i] ? kept[i] != values[i] : kept[i] != 0)
            {
                return false;
            }

            (least, gone) = chosen[i] ? (Math.Min(least, Math.Abs(values[i])), gone) : (least, Math.Max(gone, Math.Abs(values[i])));
        }

        return chosen.Count(isChosen => isChosen) == count && least >= gone;
    }
}
