namespace Sparsity.Core.Tasks;

/// <summary>Tasks about strings, lists, dicts and sets.</summary>
internal static class ContainerTasks
{
    internal static PromptTask[] All { get; } =
    [
        PatternTask.Create(
            "single_double_quote",
            "a string opened by (\" or (' closes with \") or ')",
            "\")",
            "')",
            """
            {n} = {f}(«"¦'»{p}
            {n}.{f}(«"¦'»{p}
            print(«"¦'»{p}
            {n} = {n}.get(«"¦'»{p}
            {n} = {f}(«'¦"»{w}«'¦"») + {f}(«"¦'»{p}
            {n} = {f}(«"¦'»{w}«"¦'») + {f}(«"¦'»{p}
            assert {f}(«"¦'»{p}
            {n} = «'¦"»{w}«'¦"»\n{n} = {f}(«"¦'»{p}
            {n} = «"¦'»{w}«"¦'»\n{n} = {f}(«"¦'»{p}
            return {f}(«"¦'»{p}
            raise ValueError(«"¦'»{p}
            def {f}({n1}):\n    {n1} = {f}(«"¦'»{p}
            """,
            """
            {n} = {d} + {f}(«"¦'»{p}
            {n} = {n} + {f}(«"¦'»{p}
            if {f}(«"¦'»{p}
            for {n} in {f}(«"¦'»{p}
            {n}.{n} = {f}(«"¦'»{p}
            {n} = {n} or {f}(«"¦'»{p}
            {n} += {f}(«"¦'»{p}
            while {f}(«"¦'»{p}
            {n} = not {f}(«"¦'»{p}
            if {n}:\n    {n} = {f}(«"¦'»{p}
            self.{n} = {f}(«"¦'»{p}
            {f}(«'¦"»{w}«'¦"»)\n{n} = {n} + {f}(«"¦'»{p}
            """,
            new AnswerPair("\")\n", "')\n")
        ),
        PatternTask.Create(
            "bracket_counting",
            "a flat list closes with ], a nested one with ]]",
            "]",
            "]]",
            """
            {n} = [{M}
            {n} += [{M}
            {n} = [{e}] + [{M}
            {n1} = [{e}]\n{n2} = [{M}
            return [{M}
            {n1} = «[[{e}]¦[{e}»]\n{n2} = [{M}
            {n} = «[¦[[»{d}, {d}«] + [¦], [»{d}, {d}
            {n} = «[¦[[»{d}, {d}, {d}«] + [¦], [»{d}
            {n} = {n} or [{M}
            {n} = {n} + [{M}
            def {f}({n1}):\n    {n1} = [{M}
            """,
            """
            assert {n} == [{M}
            if {n} == [{M}
            for {n} in [{M}
            {n}.{n} = [{M}
            self.{n} = [{M}
            {n} = {d} * [{M}
            {n} = {n} and [{M}
            {n} = [{d}] + [{d}] + [{M}
            if {b}:\n    {n} = [{M}
            while {n} != [{M}
            {n1} = {n2} = [{M}
            """,
            new AnswerPair("]\n", "]]\n")
        ),
        PatternTask.Create(
            "set_or_string",
            "a variable that began as set() goes on with .add, one that began as \"\" with +=",
            ".add",
            " +=",
            SetOrString("{n1}", "for {n2} in {n}:", "{n3} = {d}"),
            SetOrString("{n1}", "while {n2}:", "{n3} = {f}({n2})")
        ),
        PatternTask.Create(
            "set_or_string_fixedvarname",
            "as set_or_string, the variable always named current",
            ".add",
            " +=",
            SetOrString("current", "for {n2} in {n}:", "{n3} = {d}"),
            SetOrString("current", "while {n2}:", "{n3} = {f}({n2})")
        ),
        PatternTask.Create(
            "bracket_brace",
            "after an entry of a list comes a comma, after a key of a dict a colon",
            ",",
            ":",
            """
            {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}«, ¦: »{d4}, {d5}
            {n} = «[¦{{»{n}«, ¦: »{n}, {n}
            {n} = «[¦{{»{n}«, ¦: »{d}, {n}
            {n} = «[¦{{»{n}«, ¦: »{d}, {n}«, ¦: »{d}, {n}
            {n} = {d}\n{n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            {n} = [{e}]\n{n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            {n} = {f}({n})\n{n} = «[¦{{»{n}«, ¦: »{n}, {n}
            def {f}({n1}):\n    {n} = «[¦{{»{n}«, ¦: »{d}, {n}
            def {f}({n1}):\n    {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            """,
            """
            {n} += «[¦{{»{d1}«, ¦: »{d2}, {d3}
            return «[¦{{»{d1}«, ¦: »{d2}, {d3}«, ¦: »{d4}, {d5}
            return «[¦{{»{n}«, ¦: »{n}, {n}
            {n}.{n} = «[¦{{»{n}«, ¦: »{d}, {n}
            self.{n} = «[¦{{»{n}«, ¦: »{d}, {n}«, ¦: »{d}, {n}
            assert {n} == «[¦{{»{d1}«, ¦: »{d2}, {d3}
            {n1} = {n2} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            if {n} == «[¦{{»{n}«, ¦: »{n}, {n}
            {n} = {n} or «[¦{{»{n}«, ¦: »{d}, {n}
            if {b}:\n    {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}
            """
        ),
    ];

    /// <summary>Ten shapes around one kind of loop and one kind of statement between.</summary>
    private static string SetOrString(string variable, string loop, string between) =>
        $$"""
            {{variable}} = «set()¦""»\n{{loop}}\n    {{variable}}
            {{variable}} = «set()¦""»\n{{between}}\n{{loop}}\n    {{variable}}
            {{variable}} = «set()¦""»\n{{loop}}\n    {{between}}\n    {{variable}}
            {{variable}} = «set()¦""»\n{{loop}}\n    if {n2}:\n        {{variable}}
            {{variable}} = «set()¦""»\n{{loop}}\n    if {n2} > {d}:\n        {{variable}}
            {{variable}} = «set()¦""»\n{n5} = «""¦set()»\n{{loop}}\n    {{variable}}
            {n5} = «""¦set()»\n{{variable}} = «set()¦""»\n{{loop}}\n    {{variable}}
            {n5} = «set()¦""»\n{{variable}} = «set()¦""»\n{{loop}}\n    {{variable}}
            {{variable}} = «set()¦""»\n# {p}\n{{loop}}\n    {{variable}}
            def {f}({n4}):\n    {{variable}} = «set()¦""»\n    {{loop}}\n        {{variable}}
            """;
}
