using System.Text;
using CommandLine;
using Sparsity.Core;

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
                    $"completion: '{Shell}' is no shell that this is known for; use bash, zsh or powershell."
                        + Spelling.Suggestion(Shell, ["bash", "zsh", "powershell"])
                ),
            }
        );
        return 0;
    }

    /// <summary>What can follow a verb, or a verb and its action.</summary>
    private static IEnumerable<(string Place, string Words)> Places =>
        from type in VerbTypes.All
        let verb = Verb.NameOf(type)
        let flags = Help.Flags(type).Select(flag => "--" + flag.Name).Concat(Arguments.ListedFlags(type).Keys.Select(name => "--" + name))
        from place in (IEnumerable<(string, string)>)
            [
                (verb, string.Join(' ', Manual.Actions(verb).Concat(flags))),
                .. Manual
                    .Actions(verb)
                    .Select(action => ($"{verb} {action}", string.Join(' ', Manual.Flags(verb, action).Select(flag => "--" + flag)))),
            ]
        select place;

    private static string Verbs => string.Join(' ', VerbTypes.All.Select(Verb.NameOf).Append("help"));

    private static string Bash
    {
        get
        {
            var script = new StringBuilder("_sparsity() {\n    local words\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n");
            script.Append($"        words='{Verbs}'\n    else\n        case \"${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}\" in\n");
            foreach ((string place, string words) in Places.OrderByDescending(place => place.Place.Contains(' ')))
            {
                script
                    .Append(place.Contains(' ') ? $"            '{place}') " : $"            '{place} '*) ")
                    .Append($"words='{words}' ;;\n");
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
            foreach ((string place, string words) in Places.Prepend(("", Verbs)))
            {
                script.Append($"        '{place}' = '{words}'\n");
            }

            return script
                .Append("    }\n    $given = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { \"$_\" })\n")
                .Append("    if ($word) { $given = @($given | Select-Object -SkipLast 1) }\n")
                .Append(
                    "    $place = if ($given.Count -eq 0) { '' } elseif ($given.Count -gt 1 -and $places[\"$($given[0]) $($given[1])\"]) "
                )
                .Append("{ \"$($given[0]) $($given[1])\" } else { $given[0] }\n")
                .Append("    \"$($places[$place])\".Split(' ') | Where-Object { $_ -like \"$word*\" }\n}\n")
                .ToString();
        }
    }
}
