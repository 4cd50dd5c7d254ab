using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>
/// A token by itself gives the bits that it gives among others, on wide inputs and sparse weights, which generation relies on.
/// </summary>
public class SingleTokenTests
{
    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void SparseProductsAgree(string engineName) =>
        Compare(
            engineName,
            "linear",
            (bench, input, random) =>
            {
                double[,] weight = random.Matrix(70, input.Channels, density: 0.1);
                ActivationTensor output = bench.Output(input.Sequences, input.Tokens, 70);
                bench.Engine.LinearForward(input, bench.Weights(weight), bench.Weights(random.Vector(70)), output);
                return output;
            }
        );

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void SelectionsAgree(string engineName)
    {
        foreach (int keep in new[] { 0, 1, 25, 99, 100 })
        {
            Compare(
                engineName,
                $"AbsTopK {keep}",
                (bench, input, _) =>
                {
                    SelectionTensor selection = bench.Selection(input);
                    bench.Engine.AbsTopKForward(input, keep, selection);
                    ActivationTensor gradient = bench.Output(input.Sequences, input.Tokens, input.Channels);
                    bench.Engine.Copy(input, gradient);
                    bench.Engine.AbsTopKBackward(selection, gradient);
                    Comparison.SameBits(
                        bench.Read(input),
                        bench.Read(gradient),
                        $"{engineName}: the selection of {keep} is not what was kept"
                    );
                    return input;
                }
            );
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NonlinearitiesAgree(string engineName)
    {
        foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
        {
            Compare(
                engineName,
                kind.ToString(),
                (bench, input, _) =>
                {
                    bench.Engine.ActivationForward(kind, input, input);
                    return input;
                }
            );
        }
    }

    /// <summary>Runs an operation on [1,3,100] and on its middle token alone.</summary>
    private static void Compare(string engineName, string what, Func<Bench, ActivationTensor, RandomArrays, ActivationTensor> run)
    {
        double[,,] all = new RandomArrays(1).Activations(1, 3, 100);
        var one = new double[1, 1, 100];
        for (int c = 0; c < 100; c++)
        {
            // Zeros and ties, as after an earlier AbsTopK.
            all[0, 1, c] =
                c % 3 == 0 ? 0
                : c % 10 == 1 ? 0.5
                : all[0, 1, c];
            one[0, 0, c] = all[0, 1, c];
        }

        using var bench = Engines.Bench(engineName);
        float[] among = bench.Read(run(bench, bench.Input(all), new RandomArrays(2)));
        float[] alone = bench.Read(run(bench, bench.Input(one), new RandomArrays(2)));
        Comparison.SameBits(among.AsSpan(alone.Length, alone.Length), alone, $"{engineName}: {what}");
    }
}
