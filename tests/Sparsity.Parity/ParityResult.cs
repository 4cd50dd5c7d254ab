using System.Globalization;

namespace Sparsity.Parity;

/// <summary>One compared quantity of a parity check.</summary>
/// <param name="Name">What was compared.</param>
/// <param name="Difference">The largest; infinite where a number is NaN.</param>
/// <param name="Allowed">In the same unit.</param>
/// <param name="Detail">Where the difference is, for a message; may be empty.</param>
internal sealed record ParityResult(string Name, double Difference, double Allowed, string Detail = "")
{
    public bool Ok => Difference <= Allowed;

    /// <summary>
    /// The difference as a share of what is allowed; infinite where that is no number, so that the worst of several is found by it.
    /// </summary>
    public double Share =>
        Difference == 0 ? 0
        : double.IsNaN(Difference / Allowed) ? double.PositiveInfinity
        : Difference / Allowed;

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Name}: differs by {Difference:g3}, allowed {Allowed:g3}{(Detail.Length == 0 ? "" : $" ({Detail})")}"
        );
}
