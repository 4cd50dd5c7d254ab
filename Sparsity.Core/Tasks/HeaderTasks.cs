namespace Sparsity.Core.Tasks;

/// <summary>Tasks about the heads of compound statements. A colon that ends a line is one token with the line break.</summary>
internal static class HeaderTasks
{
    internal static PromptTask[] All { get; } =
    [
        PatternTask.Create(
            "else_elif",
            "else ends its line with a colon, elif goes on with a condition",
            ":\n",
            " not",
            """
            if {b}:\n    {n} = {d}\n«else¦elif»
            if {b}:\n    {n} = {n}\n«else¦elif»
            if {b}:\n    {f}({n})\n«else¦elif»
            if {b}:\n    return {n}\n«else¦elif»
            if {b}:\n    return {d}\n«else¦elif»
            if {b}:\n    {n}.{f}({n})\n«else¦elif»
            if {b}:\n    {n} = {f}({n})\n«else¦elif»
            if {b}:\n    {n} = {n} + {d}\n«else¦elif»
            def {f}({n1}):\n    if {n1}:\n        {n} = {d}\n    «else¦elif»
            def {f}({n1}):\n    if {n1}:\n        return {n}\n    «else¦elif»
            """,
            """
            if {b}:\n    {n} += {d}\n«else¦elif»
            if {b}:\n    {n} = {D}\n«else¦elif»
            if {b}:\n    {n} = None\n«else¦elif»
            if {b}:\n    {n} = len({n})\n«else¦elif»
            if {b}:\n    {f}({n}, {n})\n«else¦elif»
            if {b}:\n    return {n} + {n}\n«else¦elif»
            if {b}:\n    return {f}({n})\n«else¦elif»
            if {b}:\n    {n}.{n} = {n}\n«else¦elif»
            for {n1} in {n2}:\n    if {n1}:\n        {n} = {d}\n    «else¦elif»
            for {n1} in {n2}:\n    if {n1}:\n        {f}({n1})\n    «else¦elif»
            """
        ),
        PatternTask.CreateInFunctions(
            "for_while",
            "for goes on with in, while ends its line",
            " in",
            ":\n",
            "«for¦while» {n1}",
            "if {n}:\\n        «for¦while» {n1}"
        ),
        PatternTask.CreateInFunctions(
            "while_return_true",
            "while True ends its line with a colon, return True without",
            ":\n",
            "\n",
            "«while¦return» True",
            "if {n}:\\n        «while¦return» True"
        ),
        PatternTask.CreateInFunctions(
            "var_if",
            "if x == True ends its line with a colon, x = True without",
            ":\n",
            "\n",
            "«if {n1} ==¦{n1} =» True",
            "{n2} = {d}\\n    «if {n1} ==¦{n1} =» True"
        ),
        PatternTask.CreateInFunctions(
            "if_equals",
            "a condition compares, a statement assigns",
            " ==",
            " =",
            "«if ¦»{n1}",
            "if {n}:\\n        «if ¦»{n1}"
        ),
        PatternTask.CreateInFunctions(
            "if_ternary",
            "an if statement ends its line, a conditional expression goes on with else",
            ":\n",
            " else",
            "«¦{n3} = {n2} »if {n1}",
            "«¦return {n2} »if {n1}"
        ),
        PatternTask.CreateInFunctions(
            "enumerate_range",
            "a loop over two variables enumerates, a loop over one counts",
            " enumerate",
            " range",
            "for «{i1}, {n1}¦{i1}» in",
            "if {n}:\\n        for «{i1}, {n1}¦{i1}» in"
        ),
        PatternTask.Create(
            "indent_for",
            "the line after a for line is indented by one level more",
            "       ",
            "           ",
            IndentFor("{n} = {f}({n})", "for {n1} in {n2}:"),
            IndentFor("{n} = {n}.{n}", "for {i}, {n1} in enumerate({n2}):")
        ),
    ];

    /// <summary>
    /// A loop in a function's body, in variant 1 inside another statement; the last space of an indentation belongs to the word after it.
    /// </summary>
    private static string IndentFor(string between, string loop) =>
        $$"""
                «¦if {b}:\n        »{{loop}}\n
                «¦while {n}:\n        »{{loop}}\n
                «¦if {b}:\n        »{{between}}\n    «¦    »{{loop}}\n
                «¦while {n}:\n        »{{between}}\n    «¦    »{{loop}}\n
                «¦if {b}:\n        »# {p}\n    «¦    »{{loop}}\n
                {n} = {d}\n    «¦if {b}:\n        »{{loop}}\n
                {{between}}\n    «¦while {n}:\n        »{{loop}}\n
                # {p}\n    «¦if {b}:\n        »{{loop}}\n
            def {f}({n3}):\n    «¦if {b}:\n        »{{loop}}\n
            def {f}({n3}):\n    {{between}}\n    «¦if {b}:\n        »{{loop}}\n
            def {f}({n3}):\n    «¦if {b}:\n        »{{between}}\n    «¦    »{{loop}}\n
            """;
}
