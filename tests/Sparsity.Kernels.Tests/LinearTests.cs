using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class LinearTests
{
    // A sum of n products rounds by at most n * 6e-8 of the sum of their magnitudes: n is at most 101 channels, and in weight gradients 390
    // tokens; as errors have random signs a tenth of those bounds is plenty.
    private const double Tolerance = 2e-6;

    // Empty and sparse go through the lists of nonzero entries, 0.5 and 1 through the dense product. 101 outputs are more than one block of
    // rows.
    private static readonly (int Inputs, int Outputs, double Density)[] Layers =
    [
        (3, 24, 0),
        (24, 7, 0.1),
        (5, 101, 0.1),
        (24, 24, 0.2),
        (2, 3, 1),
        (24, 7, 1),
        (7, 5, 0.5),
        (4, 101, 1),
        (101, 13, 1),
        (1, 1, 1),
    ];

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ForwardMatchesReference(string engine)
    {
        ForEach(
            (b, t, layer, random) =>
            {
                using var bench = Engines.Bench(engine);
                double[,,] input = random.Activations(b, t, layer.Inputs);
                double[,] weight = random.Matrix(layer.Outputs, layer.Inputs, layer.Density);
                double[] bias = random.Vector(layer.Outputs);
                WeightTensor weights = bench.Weights(weight);
                WeightTensor biases = bench.Weights(bias);
                foreach (bool slice in new[] { false, true })
                {
                    string what = $"{engine}: linear forward [{b},{t}] {layer}, slice {slice}";
                    ActivationTensor x = bench.Input(input, slice);
                    ActivationTensor y = bench.Output(b, t, layer.Outputs, slice);
                    bench.Engine.LinearForward(x, weights, biases, y);
                    Comparison.CloseRelative(Reference.Linear(input, weight, bias), bench.Read(y), Tolerance, what);
                    bench.Engine.LinearForward(x, weights, null, y);
                    Comparison.CloseRelative(Reference.Linear(input, weight, null), bench.Read(y), Tolerance, what + ", no bias");
                    bench.RequireNeighboursUntouched(what);
                }
            }
        );
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void BackwardMatchesFiniteDifferences(string engine)
    {
        ForEach(
            (b, t, layer, random) =>
            {
                using var bench = Engines.Bench(engine);
                string what = $"{engine}: linear backward [{b},{t}] {layer}";
                double[,,] input = random.Activations(b, t, layer.Inputs);
                double[,] weight = random.Matrix(layer.Outputs, layer.Inputs, layer.Density);
                double[] bias = random.Vector(layer.Outputs);
                double[,,] outputGradient = random.Activations(b, t, layer.Outputs);
                double Loss() => Flat.Dot(Reference.Linear(input, weight, bias), outputGradient);
                bool slice = t > 1;
                ActivationTensor dy = bench.Gradient(outputGradient, slice);

                ActivationTensor dx = bench.Output(b, t, layer.Inputs, slice);
                bench.Engine.LinearBackwardInput(bench.Weights(weight), dy, dx);
                FiniteDifference.Check(Loss, input, bench.Read(dx), Tolerance, what + ", input");
                bench.RequireNoPadding(dx, what);

                WeightTensor dw = bench.Constant(layer.Outputs, layer.Inputs, 0);
                WeightTensor db = bench.Constant(1, layer.Outputs, 0);
                bench.Engine.LinearBackwardWeight(bench.Input(input, slice), dy, dw, db);
                FiniteDifference.Check(Loss, weight, bench.Read(dw), Tolerance, what + ", weight");
                FiniteDifference.Check(Loss, bias, bench.Read(db), Tolerance, what + ", bias");
                bench.RequireNeighboursUntouched(what);
            }
        );
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void WeightGradientAccumulates(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(3);
        ActivationTensor x = bench.Input(random.Activations(3, 17, 7));
        ActivationTensor dy = bench.Gradient(random.Activations(3, 17, 5));
        WeightTensor dw = bench.Constant(5, 7, 0);
        WeightTensor db = bench.Constant(1, 5, 0);
        bench.Engine.LinearBackwardWeight(x, dy, dw, db);
        double[] once = [.. bench.Read(dw).Select(v => v + 3.0)];
        double[] biasOnce = [.. bench.Read(db).Select(v => v - 2.0)];

        WeightTensor dwFromThree = bench.Constant(5, 7, 3);
        WeightTensor dbFromMinusTwo = bench.Constant(1, 5, -2);
        bench.Engine.LinearBackwardWeight(x, dy, dwFromThree, dbFromMinusTwo);

        Comparison.CloseRelative(once, bench.Read(dwFromThree), 1e-6, "weight gradient on top of 3");
        Comparison.CloseRelative(biasOnce, bench.Read(dbFromMinusTwo), 1e-6, "bias gradient on top of -2");

        bench.Engine.LinearBackwardWeight(x, dy, dwFromThree, null);
        Comparison.CloseRelative(
            once.Select(v => (2 * v) - 3).ToArray(),
            bench.Read(dwFromThree),
            1e-6,
            "weight gradient without a bias gradient"
        );
    }

    /// <summary>Every operation that changes a matrix must be seen by the next product with it.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ProductsSeeEveryChangeOfTheWeights(string engine)
    {
        using var bench = Engines.Bench(engine);
        IComputeEngine e = bench.Engine;
        var random = new RandomArrays(4);
        double[,,] input = random.Activations(1, 5, 6);
        ActivationTensor x = bench.Input(input);
        ActivationTensor y = bench.Output(1, 5, 8);
        ActivationTensor dy = bench.Gradient(random.Activations(1, 5, 8));
        WeightTensor w = bench.Constant(8, 6, 0);
        WeightTensor gradient = bench.Weights(random.Matrix(8, 6, 0.1));
        WeightTensor m = bench.Constant(8, 6, 0);
        WeightTensor v = bench.Constant(8, 6, 0);
        float[] values = Flat.Floats(random.Matrix(8, 6));
        TokenTensor tokens = bench.Tokens(random.Tokens(1, 5, 8));
        ActivationTensor dx = bench.Gradient(random.Activations(1, 5, 6));
        (string Name, Action Change)[] changes =
        [
            ("nothing", () => { }),
            ("LinearBackwardWeight", () => e.LinearBackwardWeight(x, dy, w, null)),
            ("Zero", () => e.Zero(w)),
            ("EmbeddingBackward", () => e.EmbeddingBackward(tokens, dx, w, null)),
            ("PositionBackward", () => e.PositionBackward(dx, w)),
            ("Zero", () => e.Zero(w)),
            ("AdamStep", () => e.AdamStep(w, gradient, m, v, 1, 0.1f, 0.9f, 0.95f, 0.1f, 1)),
            ("Write", () => e.Write(w, values)),
            ("KeepLargest", () => e.KeepLargest(w, 6, null, 0)),
            ("Scale", () => e.Scale(w, -2)),
            ("KeepLargest", () => e.KeepLargest(w, 3, null, 0)),
        ];
        foreach ((string name, Action change) in changes)
        {
            change();
            var weight = new double[8, 6];
            bench.Read(w).Select(value => (double)value).ToArray().CopyTo(Flat.Of(weight));
            e.LinearForward(x, w, null, y);
            Comparison.CloseRelative(Reference.Linear(input, weight, null), bench.Read(y), Tolerance, $"{engine}: product after {name}");
        }

        e.LinearForward(x, m, null, y);
        e.AdamStep(w, gradient, m, v, 1, 0.1f, 0.9f, 0.95f, 0.1f, 2);
        var moment = new double[8, 6];
        bench.Read(m).Select(value => (double)value).ToArray().CopyTo(Flat.Of(moment));
        e.LinearForward(x, m, null, y);
        Comparison.CloseRelative(
            Reference.Linear(input, moment, null),
            bench.Read(y),
            Tolerance,
            $"{engine}: product with a moment after AdamStep"
        );
    }

    private static void ForEach(Action<int, int, (int Inputs, int Outputs, double Density), RandomArrays> body)
    {
        ulong seed = 1;
        foreach ((int sequences, int tokens) in Shapes.All)
        {
            foreach ((int Inputs, int Outputs, double Density) layer in Layers)
            {
                body(sequences, tokens, layer, new RandomArrays(seed++));
            }
        }
    }
}
