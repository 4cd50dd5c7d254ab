using System.Globalization;
using System.Runtime.CompilerServices;

namespace Sparsity.Cli;

/// <summary>
/// What an interpolated string, or a sum of several, becomes where a line is printed: numbers do not depend on the culture.
/// </summary>
[InterpolatedStringHandler]
internal ref struct InvariantText(int literalLength, int formattedCount)
{
    private DefaultInterpolatedStringHandler _text = new(literalLength, formattedCount, CultureInfo.InvariantCulture);

    public void AppendLiteral(string text) => _text.AppendLiteral(text);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    public void AppendFormatted<T>(T value, int alignment) => _text.AppendFormatted(value, alignment);

    /// <summary>The text; once.</summary>
    public string ToText() => _text.ToStringAndClear();
}
