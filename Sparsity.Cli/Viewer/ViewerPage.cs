using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sparsity.Core.Files;
using Sparsity.Core.Model;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// A page as one file, the viewer or a report: style, script and data inside. The modules under Viewer/Page keep their names: an import map
/// leads viewer/NAME to their text, so that the same modules load from a server and from disk. The page forbids itself every connection but
/// to the server that sent it.
/// </summary>
internal static partial class ViewerPage
{
    private const string Folder = "viewer/";

    /// <summary>The program's table of node locations; every page holds it.</summary>
    private static readonly (string Path, string Json) Locations = (
        "locations",
        JsonSerializer.Serialize(
            SiteKinds.NodeLocations.Select(location => new
            {
                Location = location.Suffix(),
                Row = location.Row(),
                Text = location.Meaning(),
                Head = location.HeadPart(),
                Reads = location.ReadsResidual(),
                Writes = location.WritesResidual(),
                Final = location == SiteKind.FinalResid,
            }),
            JsonText.OneLine
        )
    );

    /// <summary>The viewer.</summary>
    /// <param name="title">Of the page.</param>
    /// <param name="documents">Path and JSON of what the page holds itself; empty where a server has them.</param>
    /// <param name="connects">Whether the page may ask the server it came from.</param>
    public static string Render(string title, IEnumerable<(string Path, string Json)> documents, bool connects) =>
        Page(
            title,
            "main",
            ["style.css", "viewer.css", "graph.css"],
            Fill("viewer.html", new Dictionary<string, string> { ["title"] = WebUtility.HtmlEncode(title) }),
            documents,
            connects
        );

    /// <summary>A report: text and tables, and data in script elements that figures.js turns into drawings.</summary>
    /// <param name="title">Of the page.</param>
    /// <param name="body">Its markup.</param>
    public static string RenderReport(string title, string body) =>
        Page(title, "figures", ["style.css", "report.css", "graph.css"], body, documents: [], connects: false);

    /// <summary>
    /// JSON that neither HTML nor XML takes for markup. These characters can only stand in strings of it, which read the same escaped.
    /// </summary>
    public static string InScript(string json) =>
        json.Replace("<", "\\u003c", StringComparison.Ordinal)
            .Replace(">", "\\u003e", StringComparison.Ordinal)
            .Replace("&", "\\u0026", StringComparison.Ordinal);

    private static string Page(
        string title,
        string entry,
        IEnumerable<string> styles,
        string body,
        IEnumerable<(string Path, string Json)> documents,
        bool connects
    ) =>
        Fill(
            "page.html",
            new Dictionary<string, string>
            {
                ["title"] = WebUtility.HtmlEncode(title),
                ["connect"] = connects ? "'self'" : "'none'",
                ["style"] = string.Concat(styles.Select(Asset)),
                ["body"] = body,
                ["documents"] = string.Concat(
                    documents
                        .Prepend(Locations)
                        .Select(document =>
                            $"<script type=\"application/json\" "
                            + $"id=\"document:{WebUtility.HtmlEncode(document.Path)}\">{InScript(document.Json)}</script>\n"
                        )
                ),
                ["modules"] = ImportMap(entry),
                ["entry"] = entry,
            }
        );

    private static string Fill(string template, Dictionary<string, string> parts) =>
        Placeholder().Replace(Asset(template), match => parts[match.Groups[1].Value]);

    /// <summary>The entry and every module that it reaches.</summary>
    private static string ImportMap(string entry)
    {
        var modules = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var wanted = new Queue<string>([entry]);
        while (wanted.TryDequeue(out string? name))
        {
            string text = Asset(name + ".js");
            if (modules.TryAdd(Folder + name, "data:text/javascript;base64," + Convert.ToBase64String(Encoding.UTF8.GetBytes(text))))
            {
                ImportedName().Matches(text).Select(match => match.Groups[1].Value).ToList().ForEach(wanted.Enqueue);
            }
        }

        return JsonSerializer.Serialize(new { imports = modules });
    }

    private static string Asset(string name)
    {
        using Stream stream =
            typeof(ViewerPage).Assembly.GetManifestResourceStream(Folder + name)
            ?? throw new InvalidOperationException($"The program lacks its file {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Placeholder();

    [GeneratedRegex("""^import .*"viewer/(\w+)";$""", RegexOptions.Multiline)]
    private static partial Regex ImportedName();
}
