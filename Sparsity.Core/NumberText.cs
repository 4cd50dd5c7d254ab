using System.Globalization;
using System.Numerics;

namespace Sparsity.Core;

/// <summary>
/// How this program writes sizes, and reads a number from text, whatever the system's language: a sign, digits without leading zeros, and
/// for fractional numbers a point and an exponent. No thousands separators, no spaces, nothing that is not finite: what is read is what
/// was written.
/// </summary>
internal static class NumberText
{
    /// <summary>Bytes in MiB, for people: "12.5 MiB".</summary>
    public static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MiB");

    /// <summary>Reads a number of the type asked for.</summary>
    /// <returns>False for any other text, for a number outside the type's range, and for one so small that it would be read as 0.</returns>
    public static bool TryParse<T>(ReadOnlySpan<char> text, out T value)
        where T : INumber<T>
    {
        bool isFractional = IsFractional<T>();
        value = T.Zero;
        NumberStyles style =
            NumberStyles.AllowLeadingSign | (isFractional ? NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent : 0);
        return HasForm(text, isFractional)
            && T.TryParse(text, style, CultureInfo.InvariantCulture, out value!)
            && T.IsFinite(value)
            && (!T.IsZero(value) || !SaysNonzero(text));
    }

    /// <summary>Reads a number of the type asked for.</summary>
    /// <param name="text">As the user gave it.</param>
    /// <param name="name">What it is, for the message: a flag or a file's field.</param>
    /// <exception cref="BadInputException">It is none, or outside the type's range.</exception>
    public static T Parse<T>(string text, string name)
        where T : INumber<T>
    {
        if (TryParse(text, out T value))
        {
            return value;
        }

        string expected = IsFractional<T>() ? "a number" : "a whole number";
        string pointed = text.Replace(',', '.');
        string why =
            HasForm(text, IsFractional<T>()) ? "which is beyond the numbers that fit there"
            : IsFractional<T>() && pointed != text && TryParse(pointed, out T _) ? $"but must be {expected}: write {pointed}, with a point"
            : $"but must be {expected}, such as {(IsFractional<T>() ? "0.03" : "64")}";
        throw new BadInputException($"{name} is '{text}', {why}.");
    }

    private static bool IsFractional<T>() => typeof(T) == typeof(double) || typeof(T) == typeof(float);

    private static bool HasForm(ReadOnlySpan<char> text, bool isFractional)
    {
        text = text.Length > 0 && text[0] is '-' or '+' ? text[1..] : text;
        int exponent = text.IndexOfAny('e', 'E');
        if (exponent >= 0)
        {
            ReadOnlySpan<char> power = text[(exponent + 1)..];
            power = power.Length > 0 && power[0] is '-' or '+' ? power[1..] : power;
            if (!isFractional || power.IsEmpty || power.ContainsAnyExceptInRange('0', '9'))
            {
                return false;
            }

            text = text[..exponent];
        }

        int point = text.IndexOf('.');
        ReadOnlySpan<char> whole = point < 0 ? text : text[..point];
        ReadOnlySpan<char> fraction = point < 0 ? [] : text[(point + 1)..];
        return (isFractional || point < 0)
            && whole.Length + fraction.Length > 0
            && !whole.ContainsAnyExceptInRange('0', '9')
            && !fraction.ContainsAnyExceptInRange('0', '9')
            && (whole.Length < 2 || whole[0] != '0');
    }

    private static bool SaysNonzero(ReadOnlySpan<char> text)
    {
        int exponent = text.IndexOfAny('e', 'E');
        return (exponent < 0 ? text : text[..exponent]).ContainsAnyInRange('1', '9');
    }
}
