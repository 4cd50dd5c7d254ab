using System.Text;
using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

[Verb("completion")]
internal sealed class CompletionVerb : Verb
{
    [Value(0, MetaName = "shell", Required = true, HelpText = "bash, zsh or powershell.")]
    public string Shell { get; set; } = "";

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        Terminal.Text(
            Shell switch
            {
                "bash" => Bash,
                // zsh reads bash's completions.
                "zsh" => "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" + Bash,
                "powershell" => PowerShell,
                _ => throw new BadInputException(
                    $"completion: '{Shell}' is no shell that this is known for; use {Spelling.OneOf(Shells)}."
                        + Spelling.Suggestion(Shell, Shells)
                ),
            }
        );
        return 0;
    }

    private static readonly string[] Shells = ["bash", "zsh", "powershell"];

    /// <summary>What can follow a verb, or a verb and its action: actions before flags.</summary>
    private static IEnumerable<(string Place, string Words)> Places =>
        from type in VerbTypes.All
        let verb = NameOf(type)
        let actions = Manual.Actions(verb)
        let flags = Help.Flags(type).Select(flag => flag.Name).Concat(Arguments.ListedFlags(type).Keys)
        from place in (IEnumerable<(string, IEnumerable<string>)>)
            [
                (
                    verb,
                    verb == "completion" ? Shells
                    : actions.Length > 0 ? [.. actions, "--help"]
                    : flags.Select(flag => "--" + flag)
                ),
                .. actions.Select(action =>
                    ($"{verb} {action}", Manual.Flags(verb, action).Concat(["debug", "help"]).Select(flag => "--" + flag))
                ),
            ]
        select (place.Item1, string.Join(' ', place.Item2));

    /// <summary>What can follow a verb's flag: its values where there are few, else nothing, which stands for a file.</summary>
    private static IEnumerable<(string Place, string Words)> Values =>
        from type in VerbTypes.All
        from flag in Help.Flags(type)
        let shown = flag.Shown.Split(' ', 2)
        where shown.Length == 2
        let words = flag.Name == "task" ? string.Join(' ', TaskCatalogue.All.Select(task => task.Name))
        : flag.Name == "device" ? "auto cpu cuda opencl"
        : shown[1].Contains('|') ? shown[1].Replace(",...", "").Replace('|', ' ')
        : ""
        select ($"{NameOf(type)} {shown[0]}", words);

    private static string Verbs => string.Join(' ', VerbTypes.All.Select(NameOf).Append("help"));

    private static string Bash
    {
        get
        {
            var script = new StringBuilder("_sparsity() {\n    local words\n    if [ \"$COMP_CWORD\" -eq 1 ] || ");
            script.Append("[ \"${COMP_WORDS[1]} $COMP_CWORD\" = 'help 2' ]; then\n");
            script.Append($"        words='{Verbs}'\n    else\n");
            script.Append("        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]} ${COMP_WORDS[COMP_CWORD - 1]}\" in\n");
            foreach ((string place, string words) in Values)
            {
                string[] parts = place.Split(' ');
                script.Append($"            '{parts[0]} '*' {parts[1]}') words='{words}' ;;\n");
            }

            foreach ((string place, string words) in Places.OrderByDescending(place => place.Place.Contains(' ')))
            {
                script.Append($"            '{place} '*) words='{words}' ;;\n");
            }

            return script
                .Append("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n")
                .Append("complete -o default -F _sparsity sparsity\n")
                .ToString();
        }
    }

    private static string PowerShell
    {
        get
        {
            var script = new StringBuilder("Register-ArgumentCompleter -Native -CommandName sparsity -ScriptBlock {\n");
            script.Append("    param($word, $ast, $cursor)\n    $places = @{\n");
            foreach ((string place, string words) in Places.Concat(Values).Prepend(("help", Verbs)).Prepend(("", Verbs)))
            {
                script.Append($"        '{place}' = '{words}'\n");
            }

            return script
                .Append("    }\n    $given = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { \"$_\" })\n")
                .Append("    if ($word) { $given = @($given | Select-Object -SkipLast 1) }\n")
                .Append("    $place = @(\"$($given[0]) $($given[-1])\", \"$($given[0]) $($given[1])\", \"$($given[0])\") ")
                .Append("| Where-Object { $places.ContainsKey($_) } | Select-Object -First 1\n")
                .Append("    \"$($places[$place])\".Split(' ') | Where-Object { $_ -like \"$word*\" }\n}\n")
                .ToString();
        }
    }
}
