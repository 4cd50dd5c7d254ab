using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>Writes one synthetic module: head, constants, functions and classes whose bodies are drawn from <see cref="Idioms"/>.</summary>
internal sealed class ModuleWriter(SlotFiller filler)
{
    private static readonly Pattern[] Heads = Idioms.Patterns(
        """"
        """The {s} of the {s}, {p}."""\n\nimport {m}
        """{p}.\n\n{p}, {p}.\n"""\n\nimport {m}\nimport {m}
        import {m}\nfrom {m} import {s}
        # {p}\nimport {m}
        import {m}
        """"
    );

    private static readonly Pattern[] Signatures = Idioms.Patterns(
        """
        def {f}({n1}«¦=None», {n2}«¦=None»):
        def {f}({n1}«¦=None», {n2}«¦=None», {n3}«¦=None»):
        def {f}({n1}«¦=None», {n2}«¦=None», {n3}«¦=None», {n4}«¦=None»):
        def {f}(*{n5}, {n1}«¦=None», {n2}«¦=None»):
        def {f}(*{n5}, {n1}«¦=None», {n2}«¦=None», {n3}«¦=None»):
        def {f}({n1}):
        def {f}():
        """
    );

    private static readonly Pattern[] Methods = Idioms.Patterns(
        """
        def {f}(self, {n1}«¦=None», {n2}«¦=None»):
        def {f}(self, {n1}«¦=None», {n2}«¦=None», {n3}«¦=None»):
        def {f}(self, *{n5}, {n1}«¦=None», {n2}«¦=None»):
        def {f}(self, {n1}):
        def {f}(self):
        """
    );

    private static readonly Pattern[] Classes = Idioms.Patterns(
        """
        class {C}:\n    def __init__(self, {s1}, {s2}, {s3}):\n        self.{s1} = {s1}\n        self.{s2} = {s2}\n        self.{s3} = {s3}
        class {C}:\n    def __init__(self, {s1}, {s2}, {s3}, {s4}):\n        self.{s1} = {s1}\n        self.{s2} = {s2}\n        self.{s3} = {s3}\n        self.{s4} = {s4}
        class {C}({C}):\n    def __init__(self, {s1}, {s2}, {s3}, {s4}, {s5}):\n        self.{s1} = {s1}\n        self.{s2} = {s2}\n        self.{s3} = {s3}\n        self.{s4} = {s4}\n        self.{s5} = {s5}
        class {C}({C}):\n    def __init__(self, {s1}, {s2}):\n        self.{s1} = {s1}\n        self.{s2} = {s2}\n        self.{s3} = {d}
        class {C}:\n    def __init__(self, {s1}, {s2}):\n        self.{s1} = {d} + {s1}\n        self.{s2} = {d} + {s2}
        class {C}:\n    def __init__(self, {s1}, {s2}):\n        self.{s1} = not {s1}\n        self.{s2} = not {s2}
        class {C}:\n    def __init__(self, {s1}, {s2}):\n        self.{s3}.{s1} = {s1}\n        self.{s3}.{s2} = {s2}
        """
    );

    private static readonly Pattern[] Openers = Idioms.Patterns(
        """
        if {b}:
        for {n1} in {n2}:
        for {n1} in {f}({n2}):
        for {n1} in {n2}.{s1}:
        while {n1}:
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):
        for «{i1}, {n1}¦{n1}» in «enumerate¦range»({n2}):
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):
        for «{i1}, {n1}¦{n1}» in «enumerate¦range»({n2}):
        if {n1} == True:
        """
    );

    private static readonly Pattern[] Returns = Idioms.Patterns(
        """
        return {n}
        return {n} + {n}
        return True
        return {f}({n})
        return {n} if {n} else {n}
        return [{M}«]¦]]» + {n}
        return {f}(«"¦'»{p}«"¦'») {T}
        """
    );

    private static readonly int TotalWeight = Idioms.Groups.Sum(group => group.Weight);

    private readonly StringBuilder _text = new(4096);

    private RandomSource Random => filler.Random;

    internal string Write()
    {
        filler.NewScope();
        Line(Heads, 0);
        int constants = Random.NextInt(4);
        for (int i = 0; i < constants; i++)
        {
            Statement(0);
        }

        int target = 500 + Random.NextInt(2800);
        do
        {
            filler.NewScope();
            _text.Append("\n\n");
            if (Random.NextInt(4) == 0)
            {
                Class();
            }
            else
            {
                Function(Signatures, 0);
            }
        } while (_text.Length < target);

        return _text.ToString();
    }

    private void Class()
    {
        Line(Classes, 0);
        int methods = Random.NextInt(3);
        for (int i = 0; i < methods; i++)
        {
            filler.NewScope();
            _text.Append('\n');
            Function(Methods, 4);
        }
    }

    private void Function(Pattern[] signatures, int indent)
    {
        Line(signatures, indent);
        if (Random.NextInt(4) == 0)
        {
            _text.Append(' ', indent + 4).Append("\"\"\"").Append(filler.Fill('p')).Append(".\"\"\"\n");
        }

        Body(indent + 4, 3 + Random.NextInt(8), 0);
        Line(Returns, indent + 4);
    }

    private void Body(int indent, int statements, int depth)
    {
        for (int i = 0; i < statements; i++)
        {
            if (depth < 3 && Random.NextInt(9) == 0)
            {
                Line(Openers, indent);
                Body(indent + 4, 1 + Random.NextInt(3), depth + 1);
                // A body is not only a comment.
                _text.Append(' ', indent + 4).Append(filler.Fill('n')).Append(" = ").Append(filler.Fill('n')).Append('\n');
            }
            else
            {
                Statement(indent);
            }
        }
    }

    private void Statement(int indent)
    {
        int at = Random.NextInt(TotalWeight);
        int group = 0;
        while (at >= Idioms.Groups[group].Weight)
        {
            at -= Idioms.Groups[group++].Weight;
        }

        if (indent == 0)
        {
            group = Random.NextBool() ? 0 : 1; // at the top of a module no return
        }

        Line(Idioms.Groups[group].Patterns, indent);
    }

    private void Line(Pattern[] patterns, int indent)
    {
        Pattern pattern = patterns[Random.NextInt(patterns.Length)];
        string[] values = pattern.Draw(filler);
        _text.Append(' ', indent);
        pattern.Append(_text, values, Random.NextInt(2), indent);
        _text.Append('\n');
    }
}
