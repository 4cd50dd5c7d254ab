using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Xml;
using System.Xml.Linq;
using Sparsity.Cli.Viewer;
using Sparsity.Core.Files;

namespace Sparsity.Cli.Report;

/// <summary>
/// Builds a report as an XML tree, so that everything is escaped and every tag is closed. What comes out reads as HTML too, as long as no
/// element but the void ones is left empty.
/// </summary>
internal static class Markup
{
    private const string WithoutScript = "Curves and circuits are drawn by this page's own script, which is switched off here.";

    /// <summary>An element; content may hold strings, elements, attributes and sequences of them.</summary>
    public static XElement E(string name, params object?[] content) => new(name, [.. content.Select(Clean)]);

    public static XAttribute A(string name, string value) => new(name, Printable(value));

    /// <summary>Data in the place of a drawing, which figures.js makes of it.</summary>
    /// <param name="kind">One of those in figures.js.</param>
    /// <param name="data">What that kind is drawn from.</param>
    public static XElement Drawing<T>(string kind, T data) =>
        E(
            "script",
            A("type", "application/json"),
            A("data-drawing", kind),
            ViewerPage.InScript(JsonSerializer.Serialize(data, JsonText.OneLine))
        );

    /// <summary>A table with a caption; the first column holds row headings. A cell is a string or an element.</summary>
    public static XElement Table(string caption, IEnumerable<string> headings, IEnumerable<IReadOnlyList<object>> rows) =>
        E(
            "div",
            A("class", "scroll"),
            E(
                "table",
                A("class", "grid numeric"),
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

    /// <summary>A report as one file.</summary>
    /// <param name="title">Its name and first heading.</param>
    /// <param name="content">What follows the heading.</param>
    public static string Page(string title, params object?[] content)
    {
        XElement main = E("main", E("h1", title), E("noscript", E("p", A("class", "bad"), WithoutScript)), content);
        var text = new StringBuilder();
        var settings = new XmlWriterSettings
        {
            OmitXmlDeclaration = true,
            Indent = true,
            IndentChars = " ",
            NewLineChars = "\n",
        };
        using (var writer = XmlWriter.Create(text, settings))
        {
            main.WriteTo(writer);
        }

        return ViewerPage.RenderReport(title, text.ToString());
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
