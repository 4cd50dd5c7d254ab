using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Sparsity.Cli.Report;

/// <summary>
/// Builds the page as an XML tree, so that everything is escaped and every tag is closed. What comes out reads as HTML too, as long as no
/// element but the void ones (and those inside svg) is left empty and the style sheet does without the characters that XML escapes.
/// </summary>
internal static class Markup
{
    /// <summary>An element; content may hold strings, elements, attributes and sequences of them.</summary>
    public static XElement E(string name, params object?[] content) => new(name, [.. content.Select(Clean)]);

    public static XAttribute A(string name, string value) => new(name, Printable(value));

    /// <summary>A length or place in a drawing, to a hundredth of a pixel.</summary>
    public static XAttribute A(string name, double value) => new(name, Math.Round(value, 2).ToString("0.##", CultureInfo.InvariantCulture));

    /// <summary>A drawing of that size with a name that is read aloud and shown.</summary>
    public static XElement Svg(double width, double height, string title, params object?[] content) =>
        E(
            "svg",
            A("width", width),
            A("height", height),
            A("viewBox", Format($"0 0 {width:0.##} {height:0.##}")),
            A("role", "img"),
            A("aria-label", title),
            E("title", title),
            content
        );

    public static XElement Line(string style, double x1, double y1, double x2, double y2, params object?[] content) =>
        E("line", A("class", style), A("x1", x1), A("y1", y1), A("x2", x2), A("y2", y2), content);

    public static XElement Label(string style, double x, double y, string text) => E("text", A("class", style), A("x", x), A("y", y), text);

    /// <summary>A table with a caption; the first column holds row headings. A cell is a string or an element.</summary>
    public static XElement Table(string caption, IEnumerable<string> headings, IEnumerable<IReadOnlyList<object>> rows) =>
        E(
            "div",
            A("class", "scroll"),
            E(
                "table",
                E("caption", caption),
                E("thead", E("tr", headings.Select(heading => E("th", A("scope", "col"), heading)))),
                E("tbody", rows.Select(row => E("tr", row.Select((cell, i) => i == 0 ? E("th", A("scope", "row"), cell) : E("td", cell)))))
            )
        );

    /// <summary>A number for people: four significant digits, or thousands in groups.</summary>
    public static string Number(double value) =>
        value switch
        {
            0 => "0",
            _ when !double.IsFinite(value) => "not a number",
            _ when Math.Abs(value) >= 1000 => value.ToString("#,0", CultureInfo.InvariantCulture),
            _ when Math.Abs(value) < 1e-3 => value.ToString("0.###e-0", CultureInfo.InvariantCulture),
            _ => value.ToString("G4", CultureInfo.InvariantCulture),
        };

    /// <summary>A loss: three decimals, so that columns line up.</summary>
    public static string Loss(double value) =>
        double.IsFinite(value) ? value.ToString("0.000", CultureInfo.InvariantCulture) : "not a number";

    public static string Percent(double share) => Number(100 * share) + "%";

    public static string Format(FormattableString text) => FormattableString.Invariant(text);

    /// <summary>A page as text: no XML declaration, line feeds only.</summary>
    /// <param name="title">Its name and first heading.</param>
    /// <param name="content">What follows the heading.</param>
    public static string Page(string title, params object?[] content)
    {
        XElement html = E(
            "html",
            A("lang", "en"),
            E(
                "head",
                E("meta", A("charset", "utf-8")),
                E("meta", A("name", "viewport"), A("content", "width=device-width, initial-scale=1")),
                E("title", title),
                E("style", ReportStyle.Css)
            ),
            E("body", E("main", E("h1", title), content))
        );
        var text = new StringBuilder("<!DOCTYPE html>\n");
        var settings = new XmlWriterSettings
        {
            OmitXmlDeclaration = true,
            Indent = true,
            IndentChars = " ",
            NewLineChars = "\n",
            ConformanceLevel = ConformanceLevel.Fragment,
        };
        using (var writer = XmlWriter.Create(text, settings))
        {
            html.WriteTo(writer);
        }

        return text.Append('\n').ToString();
    }

    private static object? Clean(object? content) =>
        content switch
        {
            string text => Printable(text),
            object?[] many => many.Select(Clean).ToArray(),
            _ => content,
        };

    /// <summary>Characters that XML cannot hold become the replacement character.</summary>
    private static string Printable(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            clean.Append(rune.Value > 0xFFFF || XmlConvert.IsXmlChar((char)rune.Value) ? rune : Rune.ReplacementChar);
        }

        return clean.ToString();
    }
}
