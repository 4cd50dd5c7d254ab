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
            if {n1}:\n    {n} = {d}\n«else¦elif»
            if {n1} > {d}:\n    {n} = {n}\n«else¦elif»
            if {n1}:\n    {f}({n})\n«else¦elif»
            if {n1}:\n    return {n}\n«else¦elif»
            if {n1} > {d}:\n    return {d}\n«else¦elif»
            if {n1}:\n    {n}.{f}({n})\n«else¦elif»
            if {n1} > {d}:\n    {n} = {f}({n})\n«else¦elif»
            if {n1}:\n    {n} = {n} + {d}\n«else¦elif»
            def {f}({n1}):\n    if {n1}:\n        {n} = {d}\n    «else¦elif»
            def {f}({n1}):\n    if {n1} > {d}:\n        return {n}\n    «else¦elif»
            """,
            """
            if not {n1}:\n    {n} += {d}\n«else¦elif»
            if {n1} < {n2}:\n    {n} = {D}\n«else¦elif»
            if not {n1}:\n    {n} = None\n«else¦elif»
            if {n1} == {d}:\n    {n} = len({n})\n«else¦elif»
            if {n1} < {n2}:\n    {f}({n}, {n})\n«else¦elif»
            if not {n1}:\n    return {n} + {n}\n«else¦elif»
            if {n1} == {d}:\n    return {f}({n})\n«else¦elif»
            if not {n1}:\n    {n}.{n} = {n}\n«else¦elif»
            for {n1} in {n2}:\n    if not {n1}:\n        {n} = {d}\n    «else¦elif»
            for {n1} in {n2}:\n    if {n1} == {d}:\n        {f}({n1})\n    «else¦elif»
            """
        ),
        PatternTask.CreateInFunctions(
            "for_while",
            "for goes on with in, while ends its line",
            " in",
            ":\n",
            """
            «for¦while» {n1}
            «for {n1},¦while {n1} and» {n2}
            """,
            """
            «for¦while» {n1}.{s1}
            «{n3} = [{n1} for¦while not» {n1}
            """
        ),
        PatternTask.CreateInFunctions(
            "while_return_true",
            "while True ends its line with a colon, return True without",
            ":\n",
            "\n",
            """
            «while¦return» True
            «while¦return» {n1} == True
            """,
            """
            «while¦return» {n1} or True
            «while¦return» {n1} is True
            """
        ),
        PatternTask.CreateInFunctions(
            "var_if",
            "if x == True ends its line with a colon, x = True without",
            ":\n",
            "\n",
            """
            «if {n1} ==¦{n1} =» True
            «if {n1}.{s1} ==¦{n1}.{s1} =» True
            """,
            """
            «if {n1} or {n2}¦{n1} = {n2}» == True
            «if {n1} and {n2}¦{n1} = {n2}» is True
            """
        ),
        PatternTask.CreateInFunctions(
            "if_equals",
            "a condition compares, a statement assigns",
            " ==",
            " =",
            """
            «if ¦»{n1}
            «if ¦»{n1}.{s1}
            """,
            """
            «if ¦»{n1}.{s1}.{s2}
            «if {n1} and¦{n1},» {n2}
            """
        ),
        PatternTask.CreateInFunctions(
            "if_ternary",
            "an if statement ends its line, a conditional expression goes on with else",
            ":\n",
            " else",
            """
            «¦{n3} = {n2} »if {n1}
            «¦{n3} = {n2} »if {n1}.{s1}
            """,
            """
            «¦return {n2} »if not {n1}
            «¦{n3} += {n2} »if {n1} and {n4}
            """
        ),
        PatternTask.CreateInFunctions(
            "enumerate_range",
            "a loop over two variables enumerates, a loop over one counts",
            " enumerate",
            " range",
            """
            for «{i1}, {n1}¦{i1}» in
            {n} = [{i1} for «{i1}, {n1}¦{i1}» in
            """,
            """
            {n} += [{i1} for «{i1}, {n1}¦{i1}» in
            return [{i1} for «{i1}, {n1}¦{i1}» in
            """
        ),
        PatternTask.Create(
            "indent_for",
            "the line after a for line is indented by one level more",
            "       ",
            "           ",
            IndentFor("{n} = {f}({n})", "for {n1} in {n2}:", "for {n1} in {f}({n2}):"),
            IndentFor("{n} = {n}.{n}", "for {i}, {n1} in enumerate({n2}):", "for {n1} in {n2}.{s1}:")
        ),
    ];

    /// <summary>
    /// Loops in a function's body, in variant 1 inside another statement; the last space of an indentation belongs to the word after it.
    /// </summary>
    private static string IndentFor(string between, params string[] loops) =>
        string.Join(
            '\n',
            loops.Select(loop =>
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
                    """
            )
        );
}
