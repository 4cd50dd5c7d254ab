using System.ComponentModel;
using System.Reflection;
using System.Text;
using CommandLine;

namespace Sparsity.Cli;

/// <summary>
/// Help: the pages of <see cref="Manual"/>, with the flags as verbs declare them, grouped by their <see cref="CategoryAttribute"/>. The
/// command-line library knows no flags of an action and no groups, so it does not write them.
/// </summary>
internal static class Help
{
    private const string Everywhere = "Everywhere";

    /// <summary>Heading of flags without a category.</summary>
    private const string Usual = "Flags";

    /// <summary>What the program is, and its verbs.</summary>
    /// <param name="version">The program's name and version.</param>
    /// <param name="width">Columns of a line.</param>
    public static string Overview(string version, int width)
    {
        var text = new StringBuilder();
        text.Append(version)
            .Append("\nWeight-sparse transformers: train them, prune them to the circuit of a task, look at it.\n\n")
            .Append("usage: sparsity VERB [ACTION] [--flag VALUE ...]\n\n");
        Rows(text, "Verbs", [.. Manual.Pages.Where(page => !page.Name.Contains(' ')).Select(page => (page.Name, page.Sentence))], width);
        Rows(
            text,
            "More",
            [
                ("sparsity VERB --help", "A verb's actions or flags, with examples."),
                ("sparsity VERB ACTION --help", "An action's flags, with examples."),
                ("sparsity --version", "The version."),
            ],
            width
        );
        Rows(
            text,
            "Exit codes",
            [
                ("0", "Done, or stopped by Ctrl-C in a way that can go on."),
                ("1", "A number that is not finite, a disk that is full, a check that fails, or a defect of this program."),
                ("2", "What was given cannot be used."),
            ],
            width
        );
        Rows(
            text,
            "Environment",
            [
                ("SPARSITY_OPENCL_ANY=1", "Also use OpenCL devices that do not report the generic address space, such as PoCL's."),
                ("SPARSITY_MPI=FILE", "The library of MPI, where it is not found by its usual names."),
                ("NO_COLOR=1", "No colours, as everywhere."),
            ],
            width
        );
        return text.ToString().TrimEnd('\n') + "\n";
    }

    /// <summary>The page of a verb or of its action.</summary>
    /// <param name="type">The verb's.</param>
    /// <param name="action">The action; null, or none of the verb's, for the verb.</param>
    /// <param name="width">Columns of a line.</param>
    public static string Page(Type type, string? action, int width)
    {
        string verb = Verb.NameOf(type);
        ManualPage page = (action is null ? null : Manual.Find(verb, action)) ?? Manual.Find(verb)!;
        string[] actions = page.Name == verb ? Manual.Actions(verb) : [];
        var text = new StringBuilder();
        text.Append(page.Sentence).Append("\n\nusage: sparsity ").Append(page.Usage).Append("\n\n");
        text.Append("Examples\n");
        foreach (string example in page.Examples)
        {
            text.Append("  sparsity ").Append(example).Append('\n');
        }

        text.Append('\n');
        Rows(
            text,
            "Arguments",
            [
                .. type.GetProperties()
                    .Select(property => property.GetCustomAttribute<ValueAttribute>())
                    .Where(value => value is not null && page.Usage.Contains(value.MetaName, StringComparison.Ordinal))
                    .Select(value => (value!.MetaName, value.HelpText)),
            ],
            width
        );
        Rows(text, "Actions", [.. actions.Select(name => (name, Manual.Find(verb, name)!.Sentence))], width);
        IEnumerable<IGrouping<string, Flag>> groups = Flags(type)
            .Where(flag => flag.Group == Everywhere || (actions.Length == 0 && page.Flags?.Contains(flag.Name) != false))
            .GroupBy(flag => flag.Group)
            .OrderBy(group => group.Key == Everywhere);
        foreach (IGrouping<string, Flag> group in groups)
        {
            Rows(text, group.Key, [.. group.Select(flag => (flag.Shown, flag.Text))], width);
        }

        if (actions.Length > 0)
        {
            text.Append($"An action's flags: sparsity {verb} ACTION --help\n");
        }

        if (Arguments.ListedFlags(type) is { Count: > 0 } listed)
        {
            string of = Verb.NameOf(type.GetCustomAttribute<ListsFlagsOfAttribute>()!.Verb);
            Wrapped(
                text,
                "",
                $"And these flags of '{of}' (sparsity {of} --help), each with one value or several, comma-separated, and switches with "
                    + $"true or false: {string.Join(", ", listed.Keys.Select(name => "--" + name))}.",
                width
            );
        }

        return text.ToString().TrimEnd('\n') + "\n";
    }

    /// <summary>The flags of a verb in the order of its declaration, those of the classes it derives from behind its own.</summary>
    public static IReadOnlyList<Flag> Flags(Type type) =>
        [
            .. type.GetProperties()
                .Where(property => property.GetCustomAttribute<OptionAttribute>() is not null)
                .Select(Flag.Of)
                .Append(new Flag("help", "--help", "This page.", Everywhere)),
        ];

    /// <summary>Columns below which a long name stands on a line of its own.</summary>
    private const int NarrowWidth = 100;

    private static void Rows(StringBuilder text, string title, IReadOnlyList<(string Name, string Text)> rows, int width)
    {
        if (rows.Count == 0)
        {
            return;
        }

        text.Append(title).Append('\n');
        int column = Math.Min(rows.Max(row => row.Name.Length), width < NarrowWidth ? 20 : 38);
        foreach ((string name, string what) in rows)
        {
            if (width < NarrowWidth && name.Length > column)
            {
                text.Append($"  {name}\n");
                Wrapped(text, new string(' ', column + 4), what, width);
            }
            else
            {
                Wrapped(text, $"  {name.PadRight(column)}  ", what, width);
            }
        }

        text.Append('\n');
    }

    /// <summary>Text behind a heading, whose further lines begin under its first.</summary>
    private static void Wrapped(StringBuilder text, string heading, string what, int width)
    {
        text.Append(heading);
        int column = 0;
        foreach (string word in what.Split(' '))
        {
            if (column > 0 && heading.Length + column + 1 + word.Length > width)
            {
                text.Append('\n').Append(' ', heading.Length);
                column = 0;
            }

            text.Append(column > 0 ? " " : "").Append(word);
            column += (column > 0 ? 1 : 0) + word.Length;
        }

        text.Append('\n');
    }

    /// <summary>A flag as help shows it.</summary>
    /// <param name="Name">Without the dashes.</param>
    /// <param name="Shown">With the dashes and what stands for its value.</param>
    /// <param name="Text">What it does, and its default.</param>
    /// <param name="Group">Under which heading it stands.</param>
    internal sealed record Flag(string Name, string Shown, string Text, string Group)
    {
        public static Flag Of(PropertyInfo property)
        {
            OptionAttribute option = property.GetCustomAttribute<OptionAttribute>()!;
            string value = option.MetaValue.Length > 0 ? option.MetaValue : Value(property.PropertyType);
            string stated =
                option.Required ? " (Required)"
                : option.Default is { } given && !Equals(given, false) ? $" (Default: {HelpDefaults.Text(given)})"
                : "";
            return new Flag(
                option.LongName,
                $"--{option.LongName}{(value.Length == 0 ? "" : " " + value)}",
                HelpDefaults.Fill(option.HelpText) + stated,
                property.GetCustomAttribute<CategoryAttribute>()?.Category ?? Usual
            );
        }

        /// <summary>What stands for a value of this type; nothing for a switch.</summary>
        private static string Value(Type type)
        {
            if (type == typeof(bool))
            {
                return "";
            }

            Type one =
                type != typeof(string) && type.IsAssignableTo(typeof(System.Collections.IEnumerable))
                    ? type.GetGenericArguments()[0]
                    : type;
            one = Nullable.GetUnderlyingType(one) ?? one;
            string shown =
                one.IsEnum ? string.Join('|', Enum.GetNames(one).Select(name => name.ToLowerInvariant()))
                : one == typeof(bool) ? "true|false"
                : one == typeof(string) ? "TEXT"
                : "N";
            return one == type || Nullable.GetUnderlyingType(type) is not null ? shown : shown + ",...";
        }
    }
}
