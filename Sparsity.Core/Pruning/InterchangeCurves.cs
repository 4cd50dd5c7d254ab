namespace Sparsity.Core.Pruning;

/// <summary>A point of an interchange curve. Losses are task losses in nats.</summary>
/// <param name="Fraction">Share of the circuit's nodes whose activations come from the other run.</param>
/// <param name="Loss">Mean over the orders in which nodes are exchanged.</param>
/// <param name="LossHigh">What 9 of 10 orders stay below (nearest rank); the same at both ends, where there is no order.</param>
internal sealed record InterchangePoint(double Fraction, double Loss, double LossHigh);

/// <summary>Loss curves of interchanged activations; node for node the same prompt and token.</summary>
/// <param name="FullIntoCircuit">The circuit, with a growing share of its nodes set to what they are in the full model.</param>
/// <param name="CircuitIntoFull">The full model, with a growing share of the circuit's nodes set to what they are in the circuit.</param>
internal sealed record InterchangeCurves(IReadOnlyList<InterchangePoint> FullIntoCircuit, IReadOnlyList<InterchangePoint> CircuitIntoFull)
{
    /// <summary>The larger loss of circuit and full model, which rises are counted from.</summary>
    public double Baseline => Math.Max(FullIntoCircuit[0].Loss, CircuitIntoFull[0].Loss);

    /// <summary>Rise with all of the circuit's nodes set to what they are in the full model.</summary>
    public double RiseWithModelValues => FullIntoCircuit[^1].Loss - Baseline;

    /// <summary>Rise of the full model with all of the circuit's nodes set to what they are in the circuit.</summary>
    public double RiseWithCircuitValues => CircuitIntoFull[^1].Loss - Baseline;

    /// <summary>Largest rise of the points between the ends of both curves, mean over orders.</summary>
    public double RiseOfMixtures => Middle.Max(point => point.Loss) - Baseline;

    /// <summary>The same of what 9 of 10 orders stay below.</summary>
    public double RiseOfMixturesHigh => Middle.Max(point => point.LossHigh) - Baseline;

    /// <summary>The largest of the three rises.</summary>
    public double LargestRise => Math.Max(RiseOfMixtures, Math.Max(RiseWithModelValues, RiseWithCircuitValues));

    private IEnumerable<InterchangePoint> Middle => FullIntoCircuit.Skip(1).SkipLast(1).Concat(CircuitIntoFull.Skip(1).SkipLast(1));
}
