using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using CommandLine;
using Sparsity.Cli.Tests.Mpi;
using Sparsity.Cli.Verbs;
using Sparsity.Core;

namespace Sparsity.Cli.Tests;

/// <summary>What help says agrees with what verbs take.</summary>
public partial class HelpTests
{
    public static TheoryData<string> PageNames => [.. Manual.Pages.Select(page => page.Name)];

    [Fact]
    public void EveryVerbHasAPageAndEveryPageAVerb() =>
        Assert.Equal(
            VerbTypes.All.Select(Verb.NameOf),
            Manual.Pages.Select(page => page.Name).Where(name => !name.Contains(' ')).Order(Comparer<string>.Create(ByVerb))
        );

    [Fact]
    public void EveryFlagOfAVerbIsTakenByOneOfItsActions() =>
        Assert.All(
            VerbTypes.All.Where(type => Manual.Actions(Verb.NameOf(type)).Length > 0),
            type =>
            {
                string verb = Verb.NameOf(type);
                Assert.Equal(
                    Help.Flags(type).Select(flag => flag.Name).Where(name => name is not ("debug" or "help")).Order(),
                    Manual.Actions(verb).SelectMany(action => Manual.Flags(verb, action)).Distinct().Order()
                );
            }
        );

    /// <summary>Examples are read as the program reads its arguments: each flag is known, each value of its type.</summary>
    [Theory]
    [MemberData(nameof(PageNames))]
    public void ExamplesCanBeTyped(string name)
    {
        ManualPage page = Manual.Pages.Single(page => page.Name == name);
        Assert.True(page.Examples.Length >= 2);
        Assert.StartsWith(name, page.Usage, StringComparison.Ordinal);
        foreach (string example in page.Examples)
        {
            Assert.StartsWith(name, example, StringComparison.Ordinal);
            Arguments given = Parsed(example);
            if (page.Flags is { } flags)
            {
                Assert.Empty(given.Given.Except(flags));
            }
        }
    }

    /// <summary>
    /// The same for the commands in documents. Those in blocks of code are whole, words in capitals standing for values; of those in
    /// running text, which name a verb and some of its flags, the flags are looked at.
    /// </summary>
    [Fact]
    public void CommandsInDocumentsCanBeTyped()
    {
        string root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", ".."));
        string[] documents =
        [
            .. Directory.GetFiles(root, "*.md"),
            .. Directory.GetFiles(Path.Combine(root, "docs"), "*.md"),
            .. Directory.GetFiles(Path.Combine(root, "recipes"), "*.md"),
        ];
        var wrong = new List<string>();
        int commands = 0;
        foreach (string document in documents)
        {
            string text = File.ReadAllText(document).Replace("\\\n", " ", StringComparison.Ordinal);
            foreach (Match match in BlockCommand().Matches(text))
            {
                string command = match.Groups[1].Value.Split(" #")[0];
                if (command.Contains('$') || command.Contains("...", StringComparison.Ordinal))
                {
                    continue; // filled in by a shell, or by the reader
                }

                commands++;
                try
                {
                    _ = Parsed(command);
                }
                catch (Exception e) when (e is BadInputException or Xunit.Sdk.XunitException)
                {
                    wrong.Add($"{Path.GetRelativePath(root, document)}: {command}: {e.Message}");
                }
            }

            foreach (Match match in InlineCommand().Matches(text))
            {
                commands++;
                string[] words = match.Groups[1].Value.ReplaceLineEndings(" ").Split(' ', '=', '[', ']');
                string[] taken =
                    Manual.Find(words[0], words[1]) is { Flags: { } ofAction } ? ofAction
                    : VerbTypes.All.Single(type => Verb.NameOf(type) == words[0]) is var verb
                        ? [.. Help.Flags(verb).Select(flag => flag.Name), .. Arguments.ListedFlags(verb).Keys]
                    : [];
                wrong.AddRange(
                    words
                        .Where(word =>
                            word.StartsWith("--", StringComparison.Ordinal) && word is not ("--" or "--help") && !taken.Contains(word[2..])
                        )
                        .Select(word => $"{Path.GetRelativePath(root, document)}: {match.Groups[1].Value}: there is no {word}")
                );
            }
        }

        Assert.True(commands > 80, $"only {commands} commands were found");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>Reads a command line, without the program's name, as the program does.</summary>
    private static Arguments Parsed(string line)
    {
        string[] arguments = Split(line.Split(" | ")[0].Split(" >")[0]);
        Type type =
            VerbTypes.All.SingleOrDefault(type => Verb.NameOf(type) == arguments[0])
            ?? throw new BadInputException($"there is no verb '{arguments[0]}'");
        var given = new Arguments([.. arguments.Select(argument => argument == "N" ? "1" : argument)], type);
        using Parser parser = Arguments.CreateParser();
        ParserResult<object> parsed = parser.ParseArguments(given.Canonical, [.. VerbTypes.All]);
        Assert.True(parsed.Tag == ParserResultType.Parsed, $"{line}: {string.Join(' ', parsed.Errors.Select(error => error.Tag))}");
        return given;
    }

    private const string Program =
        @"(?:sparsity|(?:mpirun -np \d+ )?dotnet bin/sparsity\.dll|dotnet run -c Release --project Sparsity\.Cli --)";

    private const string Verbs =
        "train|prune|tasks|eval|generate|trace|circuit|view|corpus|convert|tokenizer|bridge|sweep|reproduce|merge|demo|devices|bench";

    [GeneratedRegex("^(?: {4})?" + Program + " (.+)$", RegexOptions.Multiline)]
    private static partial Regex BlockCommand();

    [GeneratedRegex("`(?:sparsity )?((?:" + Verbs + ") (?:[^`]*?)--[^`]+)`")]
    private static partial Regex InlineCommand();

    [Fact]
    public void PagesBeginWithASentenceAUsageAndExamples()
    {
        string help = CommandLine.Succeed("circuit", "edit", "--help");

        Assert.StartsWith(
            "Take nodes out of a circuit, and measure what is left.\n\n"
                + "usage: sparsity circuit edit FILE --remove NODE,... --out DIR [flags]\n\nExamples\n  sparsity circuit edit ",
            help,
            StringComparison.Ordinal
        );
        Assert.Contains("--remove NODE,...", help, StringComparison.Ordinal);
        Assert.DoesNotContain("--answers", help, StringComparison.Ordinal); // which is import's
        Assert.Equal(help, CommandLine.Succeed("help", "circuit", "edit"));
        Assert.Equal(help, CommandLine.Succeed("circuit", "edit", "-h"));
        Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 140, line));
    }

    [Theory]
    [InlineData("Did you mean --task?", "prune", "--taks", "x")]
    [InlineData("Did you mean prune?", "prnue")]
    [InlineData("Did you mean edit?", "circuit", "eidt", "x")]
    [InlineData("Did you mean edit?", "circuit", "eidt", "--help")]
    [InlineData("Did you mean for_while?", "tasks", "show", "for_whlie")]
    [InlineData("Did you mean --density?", "sweep", "--densty", "1")]
    [InlineData("there is no flag --qqqqqqqq. See", "prune", "--qqqqqqqq")]
    [InlineData("--json needs a value, a FILE. See", "tasks", "list", "--json")]
    [InlineData("For one of that name write ./-", "tasks", "list", "--json", "-")]
    [InlineData("'sparsity help' lists them")]
    [InlineData("circuit needs an action: show, compare, export, edit or import. See 'sparsity circuit --help'", "circuit")]
    [InlineData("convert needs --from and --to and --out. See 'sparsity convert --help'", "convert")]
    [InlineData("completion needs a shell: bash, zsh or powershell.", "completion")]
    public void TheNearestNameIsProposed(string expected, params string[] arguments) => CommandLine.Refuse(expected, arguments);

    [BashFact]
    public void BashCompletes()
    {
        string script = CommandLine.Succeed("completion", "bash");
        Assert.Equal("train trace", Completed("sparsity", "tra"));
        Assert.Equal("edit", Completed("sparsity", "circuit", "ed"));
        Assert.Equal("--remove", Completed("sparsity", "circuit", "edit", "--rem"));
        Assert.Equal("--removal-pass", Completed("sparsity", "prune", "--model", "x", "--removal"));
        Assert.Equal("mask", Completed("sparsity", "prune", "--method", "ma"));
        Assert.Equal("for_while", Completed("sparsity", "prune", "--task", "for"));
        Assert.Equal("cpu cuda", Completed("sparsity", "train", "--device", "c"));
        Assert.Equal("", Completed("sparsity", "prune", "--out", "--"));
        Assert.Equal("train trace", Completed("sparsity", "help", "tra"));
        Assert.Equal("bash", Completed("sparsity", "completion", "b"));

        string Completed(params string[] words)
        {
            var start = new ProcessStartInfo("/bin/bash") { RedirectStandardInput = true, RedirectStandardOutput = true };
            using Process bash = Process.Start(start)!;
            bash.StandardInput.Write(script);
            bash.StandardInput.Write($"COMP_WORDS=({string.Join(' ', words)}); COMP_CWORD={words.Length - 1}; _sparsity; ");
            bash.StandardInput.Write("echo ${COMPREPLY[@]}");
            bash.StandardInput.Close();
            string completed = bash.StandardOutput.ReadToEnd().Trim();
            bash.WaitForExit();
            Assert.Equal(0, bash.ExitCode);
            return completed;
        }
    }

    [Fact]
    public void ZshAndPowerShellHaveScripts()
    {
        Assert.Contains("bashcompinit", CommandLine.Succeed("completion", "zsh"), StringComparison.Ordinal);
        Assert.Contains("'circuit edit' = '--remove ", CommandLine.Succeed("completion", "powershell"), StringComparison.Ordinal);
        CommandLine.Refuse("'fish' is no shell", "completion", "fish");
    }

    private static int ByVerb(string? a, string? b) => Place(a).CompareTo(Place(b));

    private static int Place(string? name) => VerbTypes.All.Select(Verb.NameOf).ToList().IndexOf(name!);

    /// <summary>Words as a shell splits them, with both kinds of quotes and \".</summary>
    private static string[] Split(string line)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        char quote = '\0';
        bool inWord = false;
        for (int i = 0; i < line.Length; i++)
        {
            char c = line[i];
            if (quote != '\'' && c == '\\')
            {
                word.Append(line[++i]);
            }
            else if (quote != '\0')
            {
                (quote, bool ends) = (c == quote ? '\0' : quote, c == quote);
                word.Append(ends ? "" : c);
            }
            else if (c is '\'' or '"')
            {
                (quote, inWord) = (c, true);
            }
            else if (c == ' ')
            {
                if (inWord)
                {
                    words.Add(word.ToString());
                    word.Clear();
                    inWord = false;
                }
            }
            else
            {
                word.Append(c);
                inWord = true;
            }
        }

        if (inWord)
        {
            words.Add(word.ToString());
        }

        return [.. words];
    }
}
