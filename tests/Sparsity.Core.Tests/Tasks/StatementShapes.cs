using System.Text.RegularExpressions;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>The statement of a prompt that decides, with its names, numbers and strings made alike.</summary>
internal static partial class StatementShapes
{
    private static readonly HashSet<string> Keywords =
    [
        .. "False None True and as assert async def elif else for if in is lambda not or print raise return while with".Split(' '),
    ];

    internal static string Of(string task, string prompt)
    {
        string statement = task switch
        {
            "set_or_string" or "set_or_string_fixedvarname" => Beginning(prompt),
            "else_elif" => Branches(prompt),
            "indent_for" => prompt.TrimEnd('\n').Split('\n')[^1].Trim(),
            _ => Last(prompt),
        };
        string shape = Symbol().Replace(statement, Abstract);
        // What the list or dict holds is what is asked about; the statement is what it stands in.
        return task is "bracket_counting" or "bracket_brace" ? shape[..OutermostOpen(shape)] : shape;
    }

    private static string Abstract(Match match) =>
        match.Groups["string"].Success ? match.Groups["prefix"].Value + match.Groups["quote"].Value + "s"
        : match.Groups["number"].Success ? "0"
        : Keywords.Contains(match.Value) ? match.Value
        : "n";

    /// <summary>The last line, with those before it that go on with a comma, and with decorators.</summary>
    internal static string Last(string prompt)
    {
        string[] lines = prompt.Split('\n');
        int first = lines.Length - 1;
        while (first > 0 && (lines[first - 1].EndsWith(',') || lines[first - 1].TrimStart().StartsWith('@')))
        {
            first--;
        }

        return string.Join('\n', lines[first..].Select(line => line.Trim()));
    }

    /// <summary>The statement in which the variable of the last line begins.</summary>
    private static string Beginning(string prompt)
    {
        string[] lines = [.. prompt.Split('\n').Select(line => line.Trim())];
        return lines.First(line =>
            (line.Contains("set()", StringComparison.Ordinal) || line.Contains("\"\"", StringComparison.Ordinal))
            && Regex.IsMatch(line, $@"\b{lines[^1]}\b")
        );
    }

    /// <summary>From the if to the keyword of the last line.</summary>
    private static string Branches(string prompt)
    {
        string[] lines = prompt.Split('\n');
        int indent = Indent(lines[^1]);
        int first = Array.FindLastIndex(lines, lines.Length - 2, line => Indent(line) == indent);
        return string.Join('\n', lines[first..].Select(line => line.Trim()));

        static int Indent(string line) => line.Length - line.TrimStart().Length;
    }

    private static int OutermostOpen(string shape)
    {
        var open = new Stack<int>();
        for (int i = 0; i < shape.Length; i++)
        {
            if (shape[i] is '[' or '{' or '(')
            {
                open.Push(i);
            }
            else if (shape[i] is ']' or '}' or ')')
            {
                open.Pop();
            }
        }

        return open.Last();
    }

    [GeneratedRegex("""(?<string>(?<prefix>\bf)?(?<quote>["'])[^"']*["']?)|(?<number>\d+)|[A-Za-z_]\w*""")]
    private static partial Regex Symbol();
}
