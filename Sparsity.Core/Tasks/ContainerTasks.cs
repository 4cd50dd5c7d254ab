using System.Globalization;
using Sparsity.Core.Corpora;

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
            if {n}:\n    return {n} + {f}(«"¦'»{p}
            self.{n} = {f}(«"¦'»{p}
            {f}(«'¦"»{w}«'¦"»)\n{n} = {n} + {f}(«"¦'»{p}
            """,
            new AnswerPair("\")\n", "')\n")
        ) with
        {
            FurtherPiece = random => " " + random.Pick(WordPools.Prose),
        },
        PatternTask.Create(
            "bracket_counting",
            "the outer list closes with ], an inner one and the outer with ]]",
            "]",
            "]]",
            """
            {n} = [{M}
            {n} += [{M}
            {n} = [{e}] + [{M}
            {n1} = [{e}]\n{n2} = [{M}
            return [{M}
            {n1} = [[{e}], [{e}]]\n{n2} = [{M}
            {n} = {n} or [{M}
            {n} = {f}({n}) + [{M}
            {n1} = [{e}]\n{n2} += [{M}
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
            if {b}:\n    {n} = {d} + [{M}
            while {n} != [{M}
            {n1} = {n2} = [{M}
            """,
            new AnswerPair("]\n", "]]\n")
        ) with
        {
            FurtherPiece = random => $", {random.NextInt(10)}",
        },
        PatternTask.Create(
            "set_or_string",
            "a variable that began as set() goes on with .add, one that began as \"\" with +=",
            ".add",
            " +=",
            SetOrString("{n1}", ["{0} = {1}", "{0} = {{n6}} = {1}"], "for {n2} in {n}:", "{n3} = {d}"),
            SetOrString("{n1}", ["{0}, {{n6}} = {1}, {{d}}", "{{n6}}, {0} = {{d}}, {1}"], "while {n2}:", "{n3} = {f}({n2})")
        ),
        PatternTask.Create(
            "set_or_string_fixedvarname",
            "as set_or_string, the variable always named current",
            ".add",
            " +=",
            SetOrString("current", ["{0} = {1}", "{0} = {{n6}} = {1}"], "for {n2} in {n}:", "{n3} = {d}"),
            SetOrString("current", ["{0}, {{n6}} = {1}, {{d}}", "{{n6}}, {0} = {{d}}, {1}"], "while {n2}:", "{n3} = {f}({n2})")
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
            {n} = {f}(«[¦{{»{n}«, ¦: »{n}, {n}
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
            if {b}:\n    return «[¦{{»{d1}«, ¦: »{d2}, {d3}
            """
        ),
    ];

    /// <summary>Ten surroundings of each way to begin the variable, with one kind of loop and one kind of statement between.</summary>
    /// <param name="beginnings">Formats of the variable and its value.</param>
    private static string SetOrString(string variable, string[] beginnings, string loop, string between) =>
        string.Join(
            '\n',
            beginnings.Select(beginning =>
            {
                string begins = string.Format(CultureInfo.InvariantCulture, beginning, variable, "«set()¦\"\"»");
                return $$"""
                    {{begins}}\n{{loop}}\n    {{variable}}
                    {{begins}}\n{{between}}\n{{loop}}\n    {{variable}}
                    {{begins}}\n{{loop}}\n    {{between}}\n    {{variable}}
                    {{begins}}\n{{loop}}\n    if {n2}:\n        {{variable}}
                    {{begins}}\n{{loop}}\n    if {n2} > {d}:\n        {{variable}}
                    {{begins}}\n{n5} = «""¦set()»\n{{loop}}\n    {{variable}}
                    {n5} = «""¦set()»\n{{begins}}\n{{loop}}\n    {{variable}}
                    {n5} = «set()¦""»\n{{begins}}\n{{loop}}\n    {{variable}}
                    {{begins}}\n# {p}\n{{loop}}\n    {{variable}}
                    def {f}({n4}):\n    {{begins}}\n    {{loop}}\n        {{variable}}
                    """;
            })
        );
}
