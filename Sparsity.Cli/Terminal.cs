using System.Globalization;
using Sparsity.Core.Files;
using Spectre.Console;

namespace Sparsity.Cli;

/// <summary>What the program prints: a status line that rewrites itself on a terminal, plain lines otherwise, and tables.</summary>
internal static class Terminal
{
    /// <summary>Columns below which a table's last column cannot be read.</summary>
    private const int NarrowestLast = 34;

    private static bool _statusShown;

    /// <summary>Whether nothing is printed, as by all ranks but one of a run in several processes.</summary>
    public static bool IsSilent { get; set; }

    private static bool IsInteractive => !Console.IsOutputRedirected && Mpi.Launcher.Present is null;

    /// <summary>Columns for text that is broken into lines: the terminal's, at most 140.</summary>
    public static int Width => IsInteractive ? Math.Clamp(Console.WindowWidth - 1, 60, 140) : 140;

    /// <summary>A line that stays.</summary>
    public static void Line(InvariantText text)
    {
        if (!IsSilent)
        {
            ClearStatus();
            Text(text.ToText() + "\n");
        }
    }

    /// <summary>Lines that stay.</summary>
    public static void Lines(IEnumerable<string> lines)
    {
        foreach (string line in lines)
        {
            Line($"{line}");
        }
    }

    /// <summary>Text as it is.</summary>
    /// <exception cref="WriteFailedException">Standard output is full or closed.</exception>
    public static void Text(string text) => Print(() => Console.Out.Write(text));

    /// <summary>
    /// How far long work has come: replaces the last such line on a terminal, and is left out of redirected output unless
    /// <paramref name="always"/>.
    /// </summary>
    public static void Status(InvariantText text, bool always = false)
    {
        if (IsSilent)
        {
            return;
        }

        string line = text.ToText();
        if (!IsInteractive)
        {
            if (always)
            {
                Text(line + "\n");
            }

            return;
        }

        ClearStatus();
        Text(line[..Math.Min(line.Length, Math.Max(1, Console.WindowWidth - 1))]);
        _statusShown = true;
    }

    /// <summary>
    /// A table: words stand at the left of their column, numbers at its right. Where it is too wide for the terminal, the last column takes
    /// several lines; where that does not help, each row is a block of lines, one for each column. In redirected output it is plain text
    /// without rules.
    /// </summary>
    public static void Table(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        if (IsSilent)
        {
            return;
        }

        ClearStatus();
        IReadOnlyList<string>[] cells = [.. rows];
        bool[] isOfNumbers = [.. headings.Select((_, column) => IsOfNumbers([.. cells.Select(row => row[column])]))];
        if (!IsInteractive)
        {
            Plain([headings, .. cells], isOfNumbers);
            return;
        }

        int width = Console.WindowWidth - 1;
        int widestLast = cells.Select(row => row[^1].Length).Append(headings[^1].Length).Max();
        if (WidthWithoutLast([headings, .. cells]) + Math.Min(NarrowestLast, widestLast) > width)
        {
            Blocks(headings, cells);
            return;
        }

        var table = new Table().Border(TableBorder.Simple);
        for (int i = 0; i < headings.Count; i++)
        {
            var column = new TableColumn(Markup.Escape(headings[i])) { NoWrap = i < headings.Count - 1 };
            table.AddColumn(isOfNumbers[i] ? column.RightAligned() : column);
        }

        foreach (IReadOnlyList<string> row in cells)
        {
            table.AddRow([.. row.Select(cell => new Spectre.Console.Text(cell))]);
        }

        Print(() =>
        {
            AnsiConsole.Profile.Width = width;
            AnsiConsole.Write(table);
        });
    }

    /// <summary>Whether a column has numbers, and besides them at most words without digits.</summary>
    private static bool IsOfNumbers(IReadOnlyList<string> cells) =>
        cells.Any(IsNumber) && cells.All(cell => IsNumber(cell) || !cell.Any(char.IsAsciiDigit));

    /// <summary>A number, a share of one, or one with its unit: 12, 31/2816, 91.8 %, 1.2e-5.</summary>
    private static bool IsNumber(string cell) =>
        cell is [var first, ..]
        && (char.IsAsciiDigit(first) || first is '-' or '+')
        && !cell.AsSpan().ContainsAnyExcept("0123456789+-.,/ %e");

    /// <summary>Columns two spaces apart, without rules, and each row one line.</summary>
    private static void Plain(IReadOnlyList<string>[] lines, bool[] isOfNumbers)
    {
        int[] widths = [.. isOfNumbers.Select((_, column) => lines.Max(line => line[column].Length))];
        foreach (IReadOnlyList<string> line in lines)
        {
            IEnumerable<string> padded = line.Select((cell, i) => isOfNumbers[i] ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]));
            Line($"{("  " + string.Join("  ", padded)).TrimEnd()}");
        }
    }

    /// <summary>Columns that a table takes without its last one, which can be broken into lines.</summary>
    private static int WidthWithoutLast(IReadOnlyList<string>[] lines) =>
        Enumerable.Range(0, lines[0].Count - 1).Sum(column => 2 + lines.Max(line => line[column].Length));

    /// <summary>Rows as blocks of lines, for narrow terminals.</summary>
    private static void Blocks(IReadOnlyList<string> headings, IReadOnlyList<string>[] cells)
    {
        int longest = headings.Skip(1).Max(heading => heading.Length);
        foreach (IReadOnlyList<string> row in cells)
        {
            Line($"{row[0]}");
            foreach ((string heading, string cell) in headings.Skip(1).Zip(row.Skip(1)).Where(pair => pair.Second.Length > 0))
            {
                Line($"  {heading.PadRight(longest)}  {cell}");
            }
        }
    }

    /// <summary>A path as it is typed here: without the working directory, where it lies below that.</summary>
    public static string ShortPath(string path) =>
        Path.GetRelativePath(Environment.CurrentDirectory, path) is var relative
        && !Path.IsPathRooted(relative)
        && !relative.StartsWith("..", StringComparison.Ordinal)
            ? relative
            : path;

    /// <summary>A number for a table, in the invariant culture.</summary>
    public static string Number(double value, string format = "0.000") => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>A time to wait, roughly: "40 s", "12 min", "3 h 5 min".</summary>
    public static string Duration(double seconds) =>
        !double.IsFinite(seconds) ? "unknown time"
        : seconds < 100 ? Number(seconds, "0") + " s"
        : seconds < 3600 ? Number(seconds / 60, "0") + " min"
        : Number(Math.Floor(seconds / 3600), "0") + " h " + Number(Math.Floor(seconds % 3600 / 60), "0") + " min";

    private static void ClearStatus()
    {
        if (_statusShown)
        {
            Text("\r" + new string(' ', Math.Max(1, Console.WindowWidth - 1)) + "\r");
            _statusShown = false;
        }
    }

    private static void Print(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new WriteFailedException($"standard output cannot be written ({e.Message}). Free space, or direct it elsewhere.", e);
        }
    }
}
