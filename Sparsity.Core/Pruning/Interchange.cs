using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Exchanges activations between a circuit and the full model on the same prompts. A circuit that computes what the model computes bears
/// it; one that reaches its loss in a way of its own does not.
/// </summary>
internal sealed class Interchange : IDisposable
{
    private static readonly double[] Shares = [0.25, 0.5, 0.75];

    private readonly CircuitEvaluator _evaluator;
    private readonly IReadOnlyList<TokenizedPair[]> _batches;
    private readonly int _pairs;
    private readonly int _orders;
    private readonly string _purpose;
    private readonly NodeSet _all;
    private readonly ActivationExchange _ofModel;
    private readonly ActivationExchange _ofCircuit;
    private TokenizedPair[]? _recorded;
    private double _modelLoss;

    /// <param name="evaluator">Of the model.</param>
    /// <param name="pairs">The prompts, from 1 pair.</param>
    /// <param name="orders">Random orders in which nodes are exchanged.</param>
    /// <param name="purpose">Makes the orders others than those of another purpose with the same seed.</param>
    public Interchange(CircuitEvaluator evaluator, IReadOnlyList<TokenizedPair> pairs, int orders, string purpose)
    {
        _evaluator = evaluator;
        _batches = [.. pairs.Chunk(evaluator.Masked.Runner.Pairs)];
        _pairs = pairs.Count;
        _orders = orders;
        _purpose = purpose;
        _all = NodeSet.All(evaluator.Layout);
        _ofModel = new ActivationExchange(evaluator.Model.Parameters.Engine, evaluator.Layout);
        _ofCircuit = new ActivationExchange(evaluator.Model.Parameters.Engine, evaluator.Layout);
    }

    /// <summary>Both curves of a circuit.</summary>
    public InterchangeCurves Measure(NodeSet nodes)
    {
        NodeSet[][] exchanged = [.. Exchanged(nodes)];
        double[][] intoCircuit = [.. exchanged.Select(orders => new double[orders.Length])];
        double[][] intoModel = [.. exchanged.Select(orders => new double[orders.Length])];
        double circuit = 0;
        double model = 0;
        foreach (TokenizedPair[] batch in _batches)
        {
            double weight = (double)batch.Length / _pairs;
            (double ofCircuit, double ofModel) = Record(nodes, batch);
            circuit += ofCircuit * weight;
            model += ofModel * weight;
            for (int share = 0; share < exchanged.Length; share++)
            {
                for (int order = 0; order < exchanged[share].Length; order++)
                {
                    intoCircuit[share][order] += LossWith(_ofModel, exchanged[share][order], nodes, batch) * weight;
                    intoModel[share][order] += LossWith(_ofCircuit, exchanged[share][order], _all, batch) * weight;
                }
            }
        }

        return new InterchangeCurves(Curve(circuit, intoCircuit), Curve(model, intoModel));

        static List<InterchangePoint> Curve(double start, double[][] losses) =>
            [
                new(0, start, start),
                .. Shares.Append(1).Zip(losses, (share, orders) => new InterchangePoint(share, orders.Average(), NineOfTen(orders))),
            ];
    }

    /// <summary>What 9 of 10 losses stay below, by nearest rank.</summary>
    public static double NineOfTen(IReadOnlyCollection<double> losses) =>
        losses.Order().ElementAt((int)Math.Ceiling(0.9 * losses.Count) - 1);

    /// <summary>
    /// Whether no exchange, in mean over the orders, raises the loss of circuit or full model by more than so many nats above the larger of
    /// the two; gives up at the first that does.
    /// </summary>
    public bool Survives(NodeSet nodes, double rise)
    {
        if (_batches.Count != 1)
        {
            throw new InvalidOperationException("Only exchanges of one batch can be given up.");
        }

        TokenizedPair[] batch = _batches[0];
        (double circuit, double model) = Record(nodes, batch);
        double most = Math.Max(circuit, model) + rise;
        return Exchanged(nodes)
            .Reverse()
            .All(orders =>
                orders.Average(order => LossWith(_ofModel, order, nodes, batch)) <= most
                && orders.Average(order => LossWith(_ofCircuit, order, _all, batch)) <= most
            );
    }

    public void Dispose()
    {
        _ofModel.Dispose();
        _ofCircuit.Dispose();
    }

    /// <summary>For each share of <see cref="Shares"/> the nodes that are exchanged, order by order; then all of them, once.</summary>
    private IEnumerable<NodeSet[]> Exchanged(NodeSet nodes)
    {
        int[][] orders =
        [
            .. Enumerable
                .Range(0, _orders)
                .Select(order =>
                {
                    int[] shuffled = [.. nodes.Numbers];
                    RandomSource.For(_evaluator.Config.Seed, _purpose, order).Shuffle<int>(shuffled);
                    return shuffled;
                }),
        ];
        return Shares
            .Select(share => orders.Select(order => new NodeSet(nodes.Layout, order.Take((int)Math.Round(share * order.Length)))).ToArray())
            .Append([nodes]);
    }

    /// <summary>Keeps the activations of both; those of the model are there already if the batch is the last one's.</summary>
    /// <returns>Their losses.</returns>
    private (double Circuit, double Model) Record(NodeSet nodes, TokenizedPair[] batch)
    {
        if (_recorded != batch)
        {
            _modelLoss = Recorded(_ofModel, _all);
            _recorded = batch;
        }

        return (Recorded(_ofCircuit, nodes), _modelLoss);

        double Recorded(ActivationExchange exchange, NodeSet active)
        {
            exchange.Record();
            return With(exchange, () => _evaluator.Loss(active, batch));
        }
    }

    private double LossWith(ActivationExchange other, NodeSet exchanged, NodeSet active, TokenizedPair[] batch)
    {
        other.Insert(exchanged);
        return With(other, () => _evaluator.Loss(active, batch));
    }

    private double With(ActivationExchange exchange, Func<double> loss)
    {
        List<ISiteHook> hooks = _evaluator.Masked.Runner.Hooks;
        hooks.Add(exchange);
        try
        {
            return loss();
        }
        finally
        {
            hooks.Remove(exchange);
        }
    }
}
