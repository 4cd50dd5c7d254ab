using System.Net;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sparsity.Core.Files;
using Sparsity.Core.Model;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// The viewer's page as one file: style, script and, where given, documents inside. The modules under Viewer/Page keep their names: an
/// import map leads viewer/NAME to their text. The page forbids itself every connection but to the server that sent it.
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

    /// <param name="title">Of the page.</param>
    /// <param name="documents">Path and JSON of what the page holds itself; empty where a server has them.</param>
    /// <param name="connects">Whether the page may ask the server it came from.</param>
    public static string Render(string title, IEnumerable<(string Path, string Json)> documents, bool connects)
    {
        var parts = new Dictionary<string, string>
        {
            ["title"] = WebUtility.HtmlEncode(title),
            ["connect"] = connects ? "'self'" : "'none'",
            ["style"] = Asset("style.css") + Asset("graph.css"),
            ["modules"] = ImportMap(),
            ["documents"] = string.Concat(
                documents
                    .Prepend(Locations)
                    .Select(document =>
                        $"<script type=\"application/json\" "
                        + $"id=\"document:{WebUtility.HtmlEncode(document.Path)}\">{InScript(document.Json)}</script>\n"
                    )
            ),
        };
        return Placeholder().Replace(Asset("index.html"), match => parts[match.Groups[1].Value]);
    }

    private static string ImportMap()
    {
        Assembly assembly = typeof(ViewerPage).Assembly;
        Dictionary<string, string> modules = assembly
            .GetManifestResourceNames()
            .Where(name => name.StartsWith(Folder, StringComparison.Ordinal) && name.EndsWith(".js", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .ToDictionary(
                name => name[..^".js".Length],
                name => "data:text/javascript;base64," + Convert.ToBase64String(Encoding.UTF8.GetBytes(Asset(name[Folder.Length..])))
            );
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

    /// <summary>
    /// JSON that no HTML parser takes for the end of its script element. A less-than sign can only stand in a string of it.
    /// </summary>
    private static string InScript(string json) => json.Replace("<", "\\u003c", StringComparison.Ordinal);

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Placeholder();
}
