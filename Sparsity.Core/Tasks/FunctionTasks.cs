namespace Sparsity.Core.Tasks;

/// <summary>Tasks about functions, classes and lambdas.</summary>
internal static class FunctionTasks
{
    internal static PromptTask[] All { get; } =
    [
        PatternTask.Create(
            "final_kwarg",
            "after parameters with defaults the last has one too; without them the list ends",
            "=None",
            "):\n",
            """
            def {f}({n1}«=None¦», {n2}
            def {f}({n1}«=None¦», {n2}«=None¦», {n3}
            def {f}({n1}«=None¦», {n2}«=None¦», {n3}«=None¦», {n4}
            # {p}\ndef {f}({n1}«=None¦», {n2}
            # {p}\ndef {f}({n1}«=None¦», {n2}«=None¦», {n3}
                {n} = {d}\n\n\ndef {f}({n1}«=None¦», {n2}
                {n} = {d}\n\n\ndef {f}({n1}«=None¦», {n2}«=None¦», {n3}
                return {n}\n\n\ndef {f}({n1}«=None¦», {n2}
                return {n}\n\n\ndef {f}({n1}«=None¦», {n2}«=None¦», {n3}
                return {n}\n\n\ndef {f}({n1}«=None¦», {n2}«=None¦», {n3}«=None¦», {n4}
            """,
            """
            def {f}(*{n5}, {n1}«=None¦», {n2}
            def {f}(*{n5}, {n1}«=None¦», {n2}«=None¦», {n3}
            # {p}\ndef {f}(*{n5}, {n1}«=None¦», {n2}
            # {p}\ndef {f}(*{n5}, {n1}«=None¦», {n2}«=None¦», {n3}
            class {C}:\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}
            class {C}:\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}«=None¦», {n3}
            class {C}({C}):\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}
            class {C}({C}):\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}«=None¦», {n3}
            class {C}:\n    {n} = {d}\n\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}
            class {C}:\n    {n} = None\n\n    def {f}(self, *{n5}, {n1}«=None¦», {n2}«=None¦», {n3}
            """,
            new AnswerPair("=None", "):"),
            new AnswerPair("=None", ")")
        ),
        PatternTask.CreateInFunctions(
            "lambda_func",
            "lambda's one parameter is followed by a colon, a function's name by its parameters",
            ":",
            "(",
            """
            «{n} = lambda¦def» {s1}
            «return lambda¦@{f}\n    def» {s1}
            """,
            """
            «{n}.{n} = lambda¦async def» {s1}
            «{n} = {f}({n}, lambda¦@{f}\n    async def» {s1}
            """
        ),
        PatternTask.CreateCopying(
            "class_init",
            "in a constructor the attribute's name before the equals sign is repeated after it",
            """
                    self.{s1} = {s1}\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                    self.{s1} = {s1}\n        self.{s4} = {s4}\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                def __init__(self, {s2}, {s3}):\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                def __init__(self, {s3}, {s2}):\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                def __init__(self, {s1}, {s2}, {s3}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                def __init__(self, {s1}, {s3}, {s2}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» =\t «{s2}¦{s3}»
                    self.{s1} = {s1}\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
                    self.{s1} = {s1}\n        self.{s4} = {s4}\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
                def __init__(self, {s2}, {s3}):\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
                def __init__(self, {s3}, {s2}):\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
                def __init__(self, {s1}, {s2}, {s3}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
                def __init__(self, {s1}, {s3}, {s2}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» = {d} +\t «{s2}¦{s3}»
            """,
            """
            class {C}:\n    def __init__(self, {s2}, {s3}):\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}:\n    def __init__(self, {s3}, {s2}):\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s2}, {s3}):\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s3}, {s2}):\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}:\n    def __init__(self, {s1}, {s2}, {s3}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s1}, {s3}, {s2}):\n        self.{s1} = {s1}\n        self.«{s2}¦{s3}» = not\t «{s2}¦{s3}»
            class {C}:\n    def __init__(self, {s2}, {s3}):\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            class {C}:\n    def __init__(self, {s3}, {s2}):\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s2}, {s3}):\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s3}, {s2}):\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            class {C}:\n    def __init__(self, {s1}, {s2}, {s3}):\n        self.{s1} = {s1}\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            class {C}({C}):\n    def __init__(self, {s1}, {s3}, {s2}):\n        self.{s1} = {s1}\n        self.{s5}.«{s2}¦{s3}» =\t «{s2}¦{s3}»
            """
        ),
    ];
}
