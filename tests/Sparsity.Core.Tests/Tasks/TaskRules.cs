using System.Text.RegularExpressions;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>The right answer to a prompt by reading it as a person would, independent of how the prompts are made.</summary>
internal static class TaskRules
{
    internal static string Answer(string task, string prompt)
    {
        string line = prompt[(prompt.LastIndexOf('\n') + 1)..];
        string statement = line.TrimStart();
        return task switch
        {
            "single_double_quote" => line[line.LastIndexOfAny(['"', '\'']) - 1] == '(' ? line[line.LastIndexOfAny(['"', '\''])] + ")" : "?",
            "bracket_counting" => new string(']', prompt.Count(c => c == '[') - prompt.Count(c => c == ']')),
            "set_or_string" or "set_or_string_fixedvarname" => Began(statement, prompt) == "set()" ? ".add" : " +=",
            "bracket_brace" => line.LastIndexOf('{') > line.LastIndexOf('[') ? ":" : ",",
            "else_elif" => statement == "else" ? ":\n" : " not",
            "for_while" => Regex.IsMatch(statement, "^while ") ? ":\n" : " in",
            "while_return_true" => statement.StartsWith("while ", StringComparison.Ordinal) ? ":\n" : "\n",
            "var_if" => statement.StartsWith("if ", StringComparison.Ordinal) ? ":\n" : "\n",
            "if_equals" => statement.StartsWith("if ", StringComparison.Ordinal) ? " ==" : " =",
            "if_ternary" => statement.StartsWith("if ", StringComparison.Ordinal) ? ":\n" : " else",
            "enumerate_range" => Regex.IsMatch(statement, @"for \w+, \w+ in$") ? " enumerate" : " range",
            "indent_for" => new string(' ', Regex.Match(prompt, "( *)for [^\n]*\n$").Groups[1].Length + 3),
            "final_kwarg" => statement.Contains("=None", StringComparison.Ordinal) ? "=None" : "):\n",
            "lambda_func" => statement.Contains("lambda ", StringComparison.Ordinal) ? ":" : "(",
            "class_init" => " " + Regex.Match(statement, @"^self\.(?:\w+\.)?(\w+) =(?: \d \+| not)?$").Groups[1].Value,
            "with_open" => Regex.IsMatch(statement, @"open\((input|source|infile|in_path|input_file|source_path|read_from|input_path),")
                ? "r"
                : "w",
            "with_as" => statement.StartsWith("with ", StringComparison.Ordinal) ? " as" : "\n",
            "fstring_brace" => line.Contains("f\"", StringComparison.Ordinal) ? " {" : " not",
            "var_swap" => " "
                + Regex.Match(statement, @"^(?<first>\w+), \w+ = \w+,$|^\(?\w+, (?<second>\w+)(?:, \w+|\))? =$") switch
                {
                    { Groups: var groups } => groups["first"].Value + groups["second"].Value,
                },
            _ => throw new ArgumentException(task),
        };
    }

    /// <summary>The value that the variable was given first: in its place among those of a line that names several.</summary>
    private static string Began(string variable, string prompt)
    {
        foreach (string line in prompt.Split('\n'))
        {
            string[] sides = line.Trim().Split(" = ");
            string[] names = sides[..^1].SelectMany(side => side.Split(", ")).ToArray();
            string[] values = sides[^1].Split(", ");
            int place = Array.IndexOf(names, variable);
            if (place >= 0 && values.Any(value => value is "set()" or "\"\""))
            {
                return values[Math.Min(place, values.Length - 1)];
            }
        }

        return "?";
    }
}
