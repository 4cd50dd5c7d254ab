using System.Globalization;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>Numbers as the page writes them.</summary>
internal static class PageText
{
    /// <summary>With a thin space between thousands, as the page writes numbers.</summary>
    public static string Thousands(int count) => count.ToString("N0", CultureInfo.InvariantCulture).Replace(',', '\u2009');

    /// <summary>A number with four digits, as the page writes it.</summary>
    public static string Number(double value) =>
        (
            Math.Abs(value) is 0 or >= 1e-3
                ? value.ToString("G4", CultureInfo.InvariantCulture)
                : value.ToString("0.00e+0", CultureInfo.InvariantCulture)
        ).Replace('-', '\u2212');
}
