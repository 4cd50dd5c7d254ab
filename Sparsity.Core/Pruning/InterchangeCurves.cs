using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>A point of an interchange curve.</summary>
/// <param name="Fraction">Share of the circuit's nodes whose activations come from the other run.</param>
/// <param name="Loss">Task loss in nats.</param>
internal sealed record InterchangePoint(double Fraction, double Loss);

/// <summary>Loss curves of interchanged activations; node for node the same prompt and token.</summary>
/// <param name="FullIntoCircuit">The circuit, with a growing share of its nodes set to what they are in the full model.</param>
/// <param name="CircuitIntoFull">The full model, with a growing share of the circuit's nodes set to what they are in the circuit.</param>
internal sealed record InterchangeCurves(IReadOnlyList<InterchangePoint> FullIntoCircuit, IReadOnlyList<InterchangePoint> CircuitIntoFull)
{
    private const int Orders = 2;

    private static readonly double[] Fractions = [0, 0.25, 0.5, 0.75, 1];

    /// <summary>Measures both curves, each the mean over two random orders of the nodes.</summary>
    public static InterchangeCurves Measure(CircuitEvaluator evaluator, NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        using var exchange = new ActivationExchange(evaluator.Model.Parameters.Engine, evaluator.Layout);
        evaluator.Masked.Runner.Hooks.Add(exchange);
        var all = NodeSet.All(evaluator.Layout);
        var curves = new InterchangeCurves(Curve(from: all, into: nodes), Curve(from: nodes, into: all));
        evaluator.Masked.Runner.Hooks.Remove(exchange);
        return curves;

        List<InterchangePoint> Curve(NodeSet from, NodeSet into)
        {
            var sums = new double[Fractions.Length];
            foreach (TokenizedPair[] batch in pairs.Chunk(evaluator.Masked.Runner.Pairs))
            {
                exchange.Record();
                evaluator.Differences(from, batch);
                for (int order = 0; order < Orders; order++)
                {
                    int[] shuffled = [.. nodes.Numbers];
                    RandomSource.For(evaluator.Config.Seed, "interchange", order).Shuffle<int>(shuffled);
                    for (int i = 0; i < Fractions.Length; i++)
                    {
                        exchange.Insert(new NodeSet(evaluator.Layout, shuffled.Take((int)Math.Round(Fractions[i] * shuffled.Length))));
                        sums[i] += evaluator.Loss(into, batch) * batch.Length / (pairs.Count * Orders);
                    }
                }
            }

            return [.. Fractions.Zip(sums, (fraction, loss) => new InterchangePoint(fraction, loss))];
        }
    }
}
