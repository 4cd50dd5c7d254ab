using Sparsity.Core.Corpora;

namespace Sparsity.Core.Tasks;

/// <summary>Makes a <see cref="PromptTask"/> of patterns whose two variants are the two prompts.</summary>
internal static class PatternTask
{
    private const int MostDistractors = 3;

    /// <summary>Starts of functions for the training prompts of statements that come in few shapes, each up to the statement's own indentation of 4.</summary>
    private static readonly string[] TrainStarts =
    [
        "", @"{n} = {d}\n    ", @"{n} = {n}\n    ", @"{n} = {f}({n})\n    ", @"# {p}\n    ", @"{n} += {d}\n    ", @"{n}.{f}({n})\n    ",
        @"{n} = {n} + {d}\n    ", @"{n} = None\n    ", @"{n} = {D}\n    {n} = {n}\n    ",
    ];

    /// <summary>Starts of functions for the test prompts; their functions have two parameters, so that none equals one of training.</summary>
    private static readonly string[] TestStarts =
    [
        "", @"{n} = {n}.{n}\n    ", @"{n} = {D}\n    ", @"{f}({n})\n    ", @"{n} = len({n})\n    ", @"{n} = {n} - {n}\n    ", @"{n} = {n} * {d}\n    ",
        @"{n} = {d}\n    {n} = {d}\n    ", @"# {p}\n    {n} = {d}\n    ", @"{n} = {f}({n}, {n})\n    ",
    ];

    /// <param name="answerA">The token right after the first variant.</param>
    /// <param name="answerB">The token right after the second variant.</param>
    /// <param name="train">One pattern per line, with <c>\n</c> for a line break; each ends where the answer starts.</param>
    /// <param name="test">The same, of other shapes.</param>
    internal static PromptTask Create(string name, string description, string answerA, string answerB, string train, string test) =>
        new(name, description, Fixed(train, answerA, answerB), Fixed(test, answerA, answerB));

    /// <summary>As <see cref="Create"/>, with each line placed in functions that begin in ten ways. Lines stand at an indentation of 4; later lines state theirs.</summary>
    internal static PromptTask CreateInFunctions(string name, string description, string answerA, string answerB, string train, string test) =>
        Create(name, description, answerA, answerB, TrainFunctions(train), TestFunctions(test));

    /// <summary>For answers that repeat the pattern's own fillings. Each line is the pattern, <c>\t</c>, the answer; each variant has its own.</summary>
    internal static PromptTask CreateCopying(string name, string description, string train, string test) =>
        new(name, description, Copying(train), Copying(test));

    /// <summary><see cref="CreateCopying"/> in functions.</summary>
    internal static PromptTask CreateCopyingInFunctions(string name, string description, string train, string test) =>
        CreateCopying(name, description, TrainFunctions(train), TestFunctions(test));

    private static string TrainFunctions(string lines) => Cross(@"def {f}({n}):\n    ", TrainStarts, lines);

    private static string TestFunctions(string lines) => Cross(@"def {f}({n8}, {n9}):\n    ", TestStarts, lines);

    private static string Cross(string head, string[] starts, string lines) =>
        string.Join('\n', starts.SelectMany(start => lines.Split('\n').Select(line => head + start + line.TrimEnd('\r'))));

    private static Func<RandomSource, PromptPair>[] Fixed(string lines, string a, string b) => Templates(lines, (first, second) => new PromptPair(first, second, a, b));

    private static Func<RandomSource, PromptPair>[] Copying(string lines) => Templates(lines.Replace("\\t", "\t", StringComparison.Ordinal), (first, second) =>
    {
        string[] partsA = first.Split('\t');
        string[] partsB = second.Split('\t');
        return new PromptPair(partsA[0], partsB[0], partsA[1], partsB[1]);
    });

    private static Func<RandomSource, PromptPair>[] Templates(string lines, Func<string, string, PromptPair> make) =>
        [.. Idioms.Patterns(lines).Select(pattern => (Func<RandomSource, PromptPair>)(random => Draw(pattern, random, make)))];

    private static PromptPair Draw(Pattern pattern, RandomSource random, Func<string, string, PromptPair> make)
    {
        var filler = new SlotFiller(random);
        filler.NewScope();
        string lead = "";
        for (int lines = random.NextInt(MostDistractors + 1); lines > 0; lines--)
        {
            Pattern plain = random.Pick(Idioms.Plain);
            lead += plain.Render(plain.Draw(filler), 0) + "\n";
        }

        string[] values = pattern.Draw(filler);
        return make(lead + pattern.Render(values, 0), lead + pattern.Render(values, 1));
    }
}
