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
            "bracket_counting" => new string(']', line.Count(c => c == '[') - line.Count(c => c == ']')),
            "set_or_string" or "set_or_string_fixedvarname" => Regex.Match(prompt, $"(^|\\s){statement} = (set\\(\\)|\"\")").Groups[2].Value
            == "set()"
                ? ".add"
                : " +=",
            "bracket_brace" => line.LastIndexOf('{') > line.LastIndexOf('[') ? ":" : ",",
            "else_elif" => statement == "else" ? ":\n" : " not",
            "for_while" => statement.StartsWith("for ", StringComparison.Ordinal) ? " in" : ":\n",
            "while_return_true" => statement == "while True" ? ":\n" : "\n",
            "var_if" => statement.StartsWith("if ", StringComparison.Ordinal) ? ":\n" : "\n",
            "if_equals" => statement.StartsWith("if ", StringComparison.Ordinal) ? " ==" : " =",
            "if_ternary" => statement.StartsWith("if ", StringComparison.Ordinal) ? ":\n" : " else",
            "enumerate_range" => statement.Contains(',', StringComparison.Ordinal) ? " enumerate" : " range",
            "indent_for" => new string(' ', Regex.Match(prompt, "( *)for [^\n]*\n$").Groups[1].Length + 3),
            "final_kwarg" => statement.Contains("=None", StringComparison.Ordinal) ? "=None" : "):\n",
            "lambda_func" => statement.Contains("lambda ", StringComparison.Ordinal) ? ":" : "(",
            "class_init" => " " + Regex.Match(statement, @"^self\.(\w+) =$").Groups[1].Value,
            "with_open" => Regex.IsMatch(statement, @"open\((input|source|infile|in_path|input_file|source_path|read_from|input_path),")
                ? "r"
                : "w",
            "with_as" => statement.StartsWith("with ", StringComparison.Ordinal) ? " as" : "\n",
            "fstring_brace" => line.Contains("f\"", StringComparison.Ordinal) ? " {" : " not",
            "var_swap" => " " + Regex.Match(statement, @"^\w+, (\w+) =$").Groups[1].Value,
            _ => throw new ArgumentException(task),
        };
    }
}
