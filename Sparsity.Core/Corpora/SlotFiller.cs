using System.Globalization;
using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>
/// Fills the slots of a <see cref="Pattern"/>. Names are drawn mostly from a few that belong to the scope, as in a real function.
/// </summary>
/// <remarks> n name; s common single word; f function name; C class name; w word of prose; p phrase of 1-4 words; d small number; D larger
/// number; e flat list content; M list content that ends at depth 1 or 2 by variant; T what follows a closing and a space; I, O names of
/// files read and written; m module; i loop variable; b plain condition.
/// </remarks>
internal sealed class SlotFiller(RandomSource random)
{
    /// <summary>Stands between the two variants of a filling that has two.</summary>
    internal const char VariantMark = '\u0001';

    private const int CommonWords = 16;

    private static readonly string[] Numbers = [.. Enumerable.Range(0, 1000).Select(n => n.ToString(CultureInfo.InvariantCulture))];
    private static readonly string[] LoopVariables = ["i", "j", "k", "n", "x", "idx"];
    private static readonly string[] ClassNames =
    [
        .. WordPools.Nouns.Where(noun => !noun.Contains('_')).Select(noun => char.ToUpperInvariant(noun[0]) + noun[1..]),
    ];

    private readonly string[] _locals = new string[8];
    private readonly StringBuilder _text = new();

    internal RandomSource Random { get; } = random;

    /// <summary>Chooses the names that the next statements share.</summary>
    internal void NewScope()
    {
        for (int i = 0; i < _locals.Length; i++)
        {
            _locals[i] = Name();
        }
    }

    internal string Fill(char kind) =>
        kind switch
        {
            'n' => Random.NextInt(10) < 7 ? _locals[Random.NextInt(_locals.Length)] : Name(),
            's' => WordPools.Nouns[Random.NextInt(CommonWords)],
            'f' => FunctionName(),
            'C' => Random.NextInt(3) == 0 ? Random.Pick(ClassNames) + Random.Pick(ClassNames) : Random.Pick(ClassNames),
            'w' => Word(),
            'p' => Phrase(),
            'd' => Numbers[Random.NextInt(10)],
            'D' => Numbers[10 + Random.NextInt(Random.NextInt(3) == 0 ? 990 : 90)],
            'e' => FlatContent(2 + Random.NextInt(4)),
            'M' => MixedContent(),
            'T' => Tail(),
            'I' => Random.Pick(WordPools.Inputs),
            'O' => Random.Pick(WordPools.Outputs),
            'h' => Random.Pick(WordPools.Handles),
            'm' => Random.Pick(WordPools.Modules),
            'i' => Random.Pick(LoopVariables),
            'b' => Condition(),
            _ => throw new InvalidOperationException($"There is no slot kind '{kind}'."),
        };

    private string Name() =>
        Random.NextInt(8) switch
        {
            0 => $"{WordPools.Skewed(Random, WordPools.Adjectives)}_{WordPools.Skewed(Random, WordPools.Nouns)}",
            1 => $"{Random.Pick(WordPools.Nouns)}_{Random.Pick(WordPools.Nouns)}",
            2 or 3 => WordPools.Skewed(Random, WordPools.Nouns),
            _ => Random.Pick(WordPools.Nouns),
        };

    private string FunctionName() =>
        Random.NextInt(3) == 0
            ? $"{WordPools.Skewed(Random, WordPools.Verbs)}_{WordPools.Skewed(Random, WordPools.Nouns)}"
            : WordPools.Skewed(Random, WordPools.Verbs);

    private string Word() =>
        Random.NextInt(4) switch
        {
            0 => WordPools.Skewed(Random, WordPools.Adjectives),
            1 => WordPools.Skewed(Random, WordPools.Prose),
            _ => Random.Pick(WordPools.Nouns).Replace('_', ' '),
        };

    private string Phrase()
    {
        int words = 1 + Random.NextInt(4);
        _text.Clear().Append(Word());
        for (int i = 1; i < words; i++)
        {
            _text.Append(' ').Append(Word());
        }

        return _text.ToString();
    }

    private string Tail() =>
        Random.NextInt(8) switch
        {
            0 => $"+ {Fill('n')}",
            1 => $"+ {Fill('d')}",
            2 => $" # {Word()}",
            3 => $"if {Fill('n')} else None",
            4 => $"and {Fill('n')}",
            5 => $"or {Fill('n')}",
            6 => $"if {Fill('n')} else {Fill('n')}",
            _ => $"== {Fill('n')}",
        };

    private string Condition() =>
        Random.NextInt(5) switch
        {
            0 => $"{Fill('n')} > {Fill('d')}",
            1 => $"{Fill('n')} < {Fill('n')}",
            2 => $"{Fill('n')} == {Fill('d')}",
            3 => $"not {Fill('n')}",
            _ => Fill('n'),
        };

    private string FlatContent(int count)
    {
        bool names = Random.NextInt(3) == 0;
        _text.Clear();
        for (int i = 0; i < count; i++)
        {
            _text.Append(i == 0 ? "" : ", ").Append(Element(names));
        }

        return _text.ToString();
    }

    private string Element(bool names) =>
        names ? WordPools.Skewed(Random, WordPools.Nouns) : Numbers[Random.NextInt(Random.NextInt(4) == 0 ? 100 : 10)];

    /// <summary>
    /// Equal elements, without the outer brackets and without the closing: variant 0 ends in the outer list, variant 1 in an inner one.
    /// Which it is takes counting: inner lists may be closed before, stand after other elements, hold a third level, or stand on lines of
    /// their own.
    /// </summary>
    private string MixedContent()
    {
        bool names = Random.NextInt(8) == 0;
        string next = Random.NextInt(8) == 0 ? ",\n        " : ", ";
        string a = Elements(),
            b = Elements(),
            c = Elements();
        (string outer, string inner) = Random.NextInt(8) switch
        {
            0 => (a, $"[{a}"),
            1 => ($"{a}{next}{b}", $"[{a}]{next}[{b}"),
            2 => ($"{a}{next}{b}{next}{c}", $"[{a}]{next}[{b}]{next}[{c}"),
            3 => ($"{a}{next}{b}", $"{a}{next}[{b}"),
            4 => ($"[{a}]{next}{b}", $"{a}{next}[{b}"),
            5 => ($"[{a}]{next}{b}", $"[{a}{next}{b}"),
            6 => ($"[{a}]{next}[{b}]{next}{c}", $"[{a}]{next}[{b}{next}{c}"),
            _ => ($"[[{a}], {b}]{next}{c}", $"[[{a}], {b}{next}{c}"),
        };
        return $"{outer}{VariantMark}{inner}";

        string Elements() => Random.NextInt(3) == 0 ? $"{Element(names)}, {Element(names)}" : Element(names);
    }
}
