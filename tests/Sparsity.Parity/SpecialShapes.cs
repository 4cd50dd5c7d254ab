using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>The shapes at which GPU kernels change their ways.</summary>
internal static class SpecialShapes
{
    public static IReadOnlyDictionary<string, Func<Bench, RandomArrays, ComputedTensor[]>> All { get; } =
        new Dictionary<string, Func<Bench, RandomArrays, ComputedTensor[]>>
        {
            // Enough tokens that the sum over them is split.
            ["weight gradient of 600 tokens"] = (bench, random) => WeightGradient(bench, random, 600, 5, 3, keep: null),
            ["weight gradient of 600 tokens after AbsTopK"] = (bench, random) => WeightGradient(bench, random, 600, 8, 129, keep: 2),

            // Rows that do not begin at multiples of four numbers, so that none can be loaded four at a time.
            ["dense product with 7 inputs and 5 outputs"] = (bench, random) =>
            {
                WeightTensor weight = bench.Weights(random.Matrix(5, 7));
                ActivationTensor input = bench.Input(random.Activations(2, 9, 7));
                ActivationTensor output = bench.Output(2, 9, 5);
                bench.Engine.LinearForward(input, weight, bench.Weights(random.Vector(5)), output);
                ActivationTensor gradient = bench.Gradient(random.Activations(2, 9, 5));
                ActivationTensor inputGradient = bench.Output(2, 9, 7);
                bench.Engine.LinearBackwardInput(weight, gradient, inputGradient);
                WeightTensor weightGradient = bench.Constant(5, 7, 1);
                bench.Engine.LinearBackwardWeight(input, gradient, weightGradient, null);
                return
                [
                    new("output", bench.Read(output)),
                    new("input gradient", bench.Read(inputGradient)),
                    new("weight gradient", bench.Read(weightGradient)),
                ];
            },

            // More input channels than shared memory holds at a time.
            ["sparse product with 2100 inputs"] = (bench, random) =>
            {
                WeightTensor weight = bench.Weights(random.Matrix(5, 2100, 0.05));
                ActivationTensor output = bench.Output(1, 9, 5);
                bench.Engine.LinearForward(bench.Input(random.Activations(1, 9, 2100)), weight, bench.Weights(random.Vector(5)), output);
                ActivationTensor inputGradient = bench.Output(1, 9, 2100);
                bench.Engine.LinearBackwardInput(weight, bench.Gradient(random.Activations(1, 9, 5)), inputGradient);
                return [new("output", bench.Read(output)), new("input gradient", bench.Read(inputGradient))];
            },
            ["heads of 20 channels"] = (bench, random) => Heads(bench, random, 70, 20),
            ["heads of 40 channels"] = (bench, random) => Heads(bench, random, 19, 40),
            ["heads of 40 channels, 70 tokens"] = (bench, random) => Heads(bench, random, 70, 40),
            ["heads of 100 channels"] = (bench, random) => Heads(bench, random, 11, 100),
            ["heads of 300 channels"] = (bench, random) => Heads(bench, random, 3, 300),
            ["cached attention to 1100 tokens"] = (bench, random) =>
            {
                using KeyValueCache cache = bench.Engine.AllocateKeyValueCache("cache", 1, 1101, 2);
                ActivationTensor many = bench.Output(1, 1100, 2);
                bench.Engine.CachedAttentionForward(
                    bench.Input(random.Activations(1, 1100, 2)),
                    bench.Input(random.Activations(1, 1100, 2)),
                    bench.Input(random.Activations(1, 1100, 2)),
                    2,
                    bench.Weights(random.Vector(2)),
                    cache,
                    0,
                    many
                );
                ActivationTensor one = bench.Output(1, 1, 2);
                bench.Engine.CachedAttentionForward(
                    bench.Input(random.Activations(1, 1, 2)),
                    bench.Input(random.Activations(1, 1, 2)),
                    bench.Input(random.Activations(1, 1, 2)),
                    2,
                    null,
                    cache,
                    1100,
                    one
                );
                return [new("output", bench.Read(many)), new("output of one token", bench.Read(one))];
            },

            // Several groups, whose counts are added up, and ties that run over their ends.
            ["top-k of 40000 weights, many of them equal"] = (bench, random) =>
            {
                var values = new double[200, 200];
                foreach (ref double value in Flat.Of(values))
                {
                    value = random.Integer(7) - 3;
                }

                WeightTensor weights = bench.Weights(values);
                bench.Engine.KeepLargest(weights, 17000, 1, 3);
                return [new("weights", bench.Read(weights)), new("nonzero weights", [bench.Engine.CountNonzero(weights)])];
            },
            ["top-k of 40000 weights, none protected, then columns protected"] = (bench, random) =>
            {
                WeightTensor weights = bench.Weights(random.Matrix(100, 400));
                bench.Engine.KeepLargest(weights, 33000, null, 0);
                float[] first = bench.Read(weights);
                bench.Engine.KeepLargest(weights, 2000, 0, 4);
                return [new("weights", first), new("weights with columns protected", bench.Read(weights))];
            },

            // Several segments of lists, and more of them than one group has threads.
            ["sparse product of 300 by 200"] = (bench, random) =>
            {
                WeightTensor weight = bench.Weights(random.Matrix(300, 200, 0.05));
                ActivationTensor output = bench.Output(1, 3, 300);
                bench.Engine.LinearForward(bench.Input(random.Activations(1, 3, 200)), weight, null, output);
                ActivationTensor inputGradient = bench.Output(1, 3, 200);
                bench.Engine.LinearBackwardInput(weight, bench.Gradient(random.Activations(1, 3, 300)), inputGradient);
                return [new("output", bench.Read(output)), new("input gradient", bench.Read(inputGradient))];
            },
        };

    private static ComputedTensor[] WeightGradient(Bench bench, RandomArrays random, int tokens, int outputs, int inputs, int? keep)
    {
        ActivationTensor gradient = bench.Gradient(random.Activations(2, tokens / 2, outputs));
        if (keep is { } kept)
        {
            bench.Engine.AbsTopKForward(gradient, kept, bench.Selection(gradient));
        }

        WeightTensor weightGradient = bench.Constant(outputs, inputs, 1);
        bench.Engine.LinearBackwardWeight(bench.Input(random.Activations(2, tokens / 2, inputs)), gradient, weightGradient, null);
        return [new("weight gradient", bench.Read(weightGradient))];
    }

    private static ComputedTensor[] Heads(Bench bench, RandomArrays random, int tokens, int channels)
    {
        ActivationTensor[] inputs = [.. Enumerable.Range(0, 3).Select(_ => bench.Input(random.Activations(1, tokens, 2 * channels)))];
        ActivationTensor[] gradients = [.. Enumerable.Range(0, 3).Select(_ => bench.Output(1, tokens, 2 * channels))];
        ActivationTensor output = bench.Output(1, tokens, 2 * channels);
        ActivationTensor logSumExp = bench.Output(1, tokens, 2);
        bench.Engine.AttentionForward(inputs[0], inputs[1], inputs[2], 2, null, output, logSumExp);
        bench.Engine.AttentionBackward(
            inputs[0],
            inputs[1],
            inputs[2],
            2,
            null,
            output,
            logSumExp,
            bench.Gradient(random.Activations(1, tokens, 2 * channels)),
            gradients[0],
            gradients[1],
            gradients[2],
            null
        );
        return
        [
            new("output", bench.Read(output)),
            new("query gradient", bench.Read(gradients[0])),
            new("key gradient", bench.Read(gradients[1])),
            new("value gradient", bench.Read(gradients[2])),
        ];
    }
}
