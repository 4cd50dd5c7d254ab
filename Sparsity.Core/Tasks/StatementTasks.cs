namespace Sparsity.Core.Tasks;

/// <summary>Tasks about files, formatted strings and swaps.</summary>
internal static class StatementTasks
{
    internal static PromptTask[] All { get; } =
    [
        PatternTask.CreateInFunctions(
            "with_open",
            "a file with a name for reading is opened with 'r', one with a name for writing with 'w'",
            "r",
            "w",
            """
            with open(«{I1}¦{O1}», '
            {h1} = open(«{I1}¦{O1}», '
            """,
            """
            return open(«{I1}¦{O1}», '
            {n}.{h1} = open(«{I1}¦{O1}», '
            """
        ),
        PatternTask.CreateInFunctions(
            "with_as",
            "an opened file in a with statement is followed by as, in an assignment by the line's end",
            " as",
            "\n",
            """
            {h1} = open({n2})\n    «with¦{h3} =» {h1}
            {h1} = open({n2})\n    «with¦{h3} =» {n1}.{h1}
            """,
            """
            {h1} = open({I1}, 'r')\n    «with {n1} or¦{h3} = {n1} or» {h1}
            {h1} = open({I1}, 'r')\n    «with {n1} as {h2},¦{h2} = {n1},» {h1}
            """
        ),
        PatternTask.CreateInFunctions(
            "fstring_brace",
            "an f-string goes on with a variable in braces, a plain string with words",
            " {",
            " not",
            """
            {n} = «f¦»"the {s1} is
            return «f¦»"{w} {s1} is
            """,
            """
            print(«f¦»"the {s1} is
            {n} += «f¦»"{w} {s1} is
            """
        ),
        PatternTask.CreateCopyingInFunctions(
            "var_swap",
            "variables are swapped: the second on the left comes first, and then the first",
            """
            «{s1}, {s2}¦{s2}, {s1}» =\t «{s2}¦{s1}»
            «{s1}, {s2} = {s2}¦{s2}, {s1} = {s1}»,\t «{s1}¦{s2}»
            """,
            """
            «{s1}, {s2}¦{s2}, {s1}», {s3} =\t «{s2}¦{s1}»
            («{s1}, {s2}¦{s2}, {s1}») =\t «{s2}¦{s1}»
            """
        ),
    ];
}
