namespace Sparsity.Core.Circuits;

/// <summary>How edges of circuits are counted where circuits are compared.</summary>
internal static class EdgeCount
{
    /// <summary>
    /// A circuit without edges counts as one edge: the logarithm of 0 would make a geometric mean 0 whatever the others are.
    /// </summary>
    public static double Counted(double edges) => Math.Max(1, edges);

    /// <summary>Geometric mean of the counted edges of one circuit or more.</summary>
    public static double GeometricMean(IEnumerable<double> edges) => Math.Exp(edges.Average(count => Math.Log(Counted(count))));
}
