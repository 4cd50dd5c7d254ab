using System.Globalization;

namespace Sparsity.Core.Circuits;

/// <summary>Numbers for people and pages: no more digits than are looked at.</summary>
internal static class SignificantDigits
{
    /// <summary>The nearest number of so many significant decimal digits.</summary>
    public static double Rounded(double value, int digits) =>
        double.Parse(value.ToString($"G{digits}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
