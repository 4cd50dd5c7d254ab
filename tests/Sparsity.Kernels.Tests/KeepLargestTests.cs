using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Weight selection computes nothing: every comparison here is exact.</summary>
public class KeepLargestTests
{
    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AgreesWithASortOnRandomMatrices(string engine)
    {
        ulong seed = 1;
        foreach ((int rows, int columns) in new[] { (1, 1), (1, 7), (7, 1), (5, 4), (24, 7), (3, 65), (130, 24) })
        {
            foreach (int? axis in new int?[] { null, 0, 1 })
            {
                var random = new RandomArrays(seed++);
                int lines =
                    axis is null ? 0
                    : axis == 1 ? rows
                    : columns;
                int alive = axis is null ? 0 : random.Integer((axis == 1 ? columns : rows) + 1);
                int least = lines * alive;
                int length = rows * columns;
                foreach (
                    int keep in new[] { least, least + ((length - least) / 3), length - Math.Min(1, length - least), length }.Distinct()
                )
                {
                    Check(engine, random.Matrix(rows, columns), keep, axis, alive);
                    Check(engine, random.Matrix(rows, columns, 0.2), keep, axis, alive);
                }
            }
        }
    }

    /// <summary>Few different magnitudes of either sign: almost every threshold and every protected line has ties.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AgreesWithASortWhereNearlyAllAreTied(string engine)
    {
        double[] values = [-2, -1, double.NegativeZero, 0, 1, 2, float.Epsilon, -float.Epsilon];
        for (ulong seed = 1; seed <= 60; seed++)
        {
            var random = new RandomArrays(seed);
            var weights = new double[1 + random.Integer(12), 1 + random.Integer(12)];
            foreach (ref double value in Flat.Of(weights))
            {
                value = values[random.Integer(values.Length)];
            }

            int? axis = random.Integer(3) is var choice && choice == 2 ? null : choice;
            int lineLength = axis == 1 ? weights.GetLength(1) : weights.GetLength(0);
            int alive = axis is null ? 0 : random.Integer(lineLength + 1);
            int least = alive * (weights.Length / lineLength);
            Check(engine, weights, least + random.Integer(weights.Length - least + 1), axis, alive);
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TiesGoToTheLowerIndex(string engine)
    {
        Assert.Equal(
            [0, 3, -3, 0, 0, 0],
            Keep(
                engine,
                new double[,]
                {
                    { 1, 3, -3 },
                    { 3, -3, 2 },
                },
                2,
                null,
                0
            )
        );
        Assert.Equal(
            [0, 3, 0, 3, 0, 0],
            Keep(
                engine,
                new double[,]
                {
                    { 1, 3, -3 },
                    { 3, -3, 2 },
                },
                2,
                1,
                1
            )
        );
        Assert.Equal(
            [0, 3, -3, 3, 0, 0],
            Keep(
                engine,
                new double[,]
                {
                    { 1, 3, -3 },
                    { 3, -3, 2 },
                },
                3,
                0,
                1
            )
        );
    }

    /// <summary>A row of zeros is protected all the same, and takes its share of k from the others.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ProtectedZerosCountInsideKeep(string engine)
    {
        double[,] weights =
        {
            { 0, 0, 0, 0 },
            { 5, 4, 3, 2 },
        };
        Assert.Equal([0, 0, 0, 0, 5, 4, 0, 0], Keep(engine, weights, 4, 1, 2));
        Assert.Equal([0, 0, 0, 0, 5, 4, 3, 0], Keep(engine, weights, 5, 1, 2));
    }

    /// <summary>
    /// Engines may look first where the threshold was in the step before: it has moved a little, a lot, up, down, and away to zero.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AgreesWithASortStepAfterStep(string engine)
    {
        const int Rows = 40;
        const int Columns = 37;
        using var bench = Engines.Bench(engine);
        WeightTensor weights = bench.Weights(new double[Rows, Columns]);
        var random = new RandomArrays(5);
        foreach (
            (double scale, double density, int keep) in new (double, double, int)[]
            {
                (1, 1, 300),
                (1.001, 1, 300),
                (0.999, 1, 298),
                (1, 1, 200),
                (1, 1, 1400),
                (50, 1, 200),
                (0.01, 1, 200),
                (1, 0.1, 900),
                (1, 1, 900),
                (1, 1, 0),
                (1, 1, 1480),
            }
        )
        {
            double[,] values = random.Matrix(Rows, Columns, density);
            foreach (ref double value in Flat.Of(values))
            {
                value *= scale;
            }

            bench.Engine.Write(weights, Flat.Floats(values));
            int alive = keep >= 3 * Rows ? 3 : 0;
            bench.Engine.KeepLargest(weights, keep, 1, alive);
            bool[] kept = ReferenceSelection.KeepLargest(values, keep, 1, alive);
            float[] expected = [.. Flat.Floats(values).Zip(kept, (value, isKept) => isKept ? value : 0)];
            Comparison.SameBits(PositiveZeros(expected), PositiveZeros(bench.Read(weights)), $"{engine}: scale {scale}, k = {keep}");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NothingOrEverythingIsKept(string engine)
    {
        double[,] weights =
        {
            { 1, -2 },
            { 0, 4 },
        };
        Assert.Equal([0, 0, 0, 0], Keep(engine, weights, 0, null, 0));
        Assert.Equal([1, -2, 0, 4], Keep(engine, weights, 4, null, 0));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void InfinityIsTheLargest(string engine)
    {
        double[,] weights =
        {
            { 1, double.NegativeInfinity },
            { float.MaxValue, 4 },
        };
        Assert.Equal([0, float.NegativeInfinity, 0, 0], Keep(engine, weights, 1, null, 0));
        Assert.Equal([0, float.NegativeInfinity, float.MaxValue, 0], Keep(engine, weights, 2, 1, 1));
    }

    /// <summary>It must not vanish: whoever looks at the weights afterwards sees it.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NotANumberIsLargerStill(string engine)
    {
        double[,] weights =
        {
            { 1, 2, double.PositiveInfinity },
            { 4, 5, double.NaN },
        };
        Assert.Equal([0, 0, 0, 0, 0, float.NaN], Keep(engine, weights, 1, null, 0));
        Assert.Equal([0, 0, float.PositiveInfinity, 0, 5, float.NaN], Keep(engine, weights, 3, null, 0));
        Assert.Equal([0, 0, float.PositiveInfinity, 0, 0, float.NaN], Keep(engine, weights, 2, 1, 1));
        Assert.Equal([0, 0, 0, 4, 5, float.NaN], Keep(engine, weights, 3, 0, 1));
    }

    /// <summary>All bits set is the largest magnitude there is; again and again, from where the threshold was found last.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TiesOfNotANumberGoToTheLowerIndex(string engine)
    {
        float largest = BitConverter.Int32BitsToSingle(-1);
        using var bench = Engines.Bench(engine);
        WeightTensor weights = bench.Weights(new double[1, 6]);
        foreach (int keep in new[] { 2, 4, 3, 1, 2 })
        {
            bench.Engine.Write(weights, [1, largest, float.NaN, largest, largest, -1]);
            bench.Engine.KeepLargest(weights, keep, null, 0);
            float[] expected = [0, largest, keep > 3 ? float.NaN : 0, keep > 1 ? largest : 0, keep > 2 ? largest : 0, 0];
            Comparison.SameBits(expected, bench.Read(weights), $"{engine}: k = {keep}");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ImpossibleRequestsAreRefused(string engine)
    {
        using var bench = Engines.Bench(engine);
        WeightTensor weights = bench.Weights(new double[3, 4], "the matrix");
        Assert.ThrowsAny<ArgumentException>(() => bench.Engine.KeepLargest(weights, -1, null, 0));
        Assert.ThrowsAny<ArgumentException>(() => bench.Engine.KeepLargest(weights, 13, null, 0));
        Assert.Contains(
            "the matrix",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.KeepLargest(weights, 5, 1, 2)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the matrix",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.KeepLargest(weights, 7, 0, 2)).Message,
            StringComparison.Ordinal
        );
    }

    private static float[] Keep(string engine, double[,] values, int keep, int? axis, int alive)
    {
        using var bench = Engines.Bench(engine);
        WeightTensor weights = bench.Weights(values);
        bench.Engine.KeepLargest(weights, keep, axis, alive);
        return bench.Read(weights);
    }

    private static void Check(string engine, double[,] values, int keep, int? axis, int alive)
    {
        bool[] kept = ReferenceSelection.KeepLargest(values, keep, axis, alive);
        float[] expected = [.. Flat.Floats(values).Zip(kept, (value, isKept) => isKept ? value : 0)];
        Comparison.SameBits(
            PositiveZeros(expected),
            PositiveZeros(Keep(engine, values, keep, axis, alive)),
            $"{engine}: [{values.GetLength(0)},{values.GetLength(1)}], k = {keep}, axis {axis?.ToString() ?? "none"}, {alive} alive"
        );
    }

    /// <summary>A weight of zero is one whatever its sign.</summary>
    private static float[] PositiveZeros(float[] values) => [.. values.Select(value => value + 0f)];
}
