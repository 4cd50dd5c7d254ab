using System.Text;
using Sparsity.Core.Corpora;

namespace Sparsity.Core.Tasks;

/// <summary>Makes a <see cref="PromptTask"/> of patterns whose two variants are the two prompts.</summary>
internal static class PatternTask
{
    /// <summary>Distractors beyond so many lines stand in functions of their own, of so many lines each.</summary>
    private const int LinesOfFunction = 6;
    private const int Indent = 4;

    private static readonly Pattern Head = new("def {f}({n}):");

    /// <summary>
    /// Starts of functions for the training prompts of statements that come in few shapes, each up to the statement's own indentation of 4.
    /// </summary>
    private static readonly string[] TrainStarts =
    [
        "",
        @"{n} = {d}\n    ",
        @"{n} = {n}\n    ",
        @"{n} = {f}({n})\n    ",
        @"# {p}\n    ",
        @"{n} += {d}\n    ",
        @"{n}.{f}({n})\n    ",
        @"{n} = {n} + {d}\n    ",
        @"{n} = None\n    ",
        @"{n} = {D}\n    {n} = {n}\n    ",
    ];

    /// <summary>
    /// Starts of functions for the test prompts; their functions have two parameters, so that none equals one of training.
    /// </summary>
    private static readonly string[] TestStarts =
    [
        "",
        @"{n} = {n}.{n}\n    ",
        @"{n} = {D}\n    ",
        @"{f}({n})\n    ",
        @"{n} = len({n})\n    ",
        @"{n} = {n} - {n}\n    ",
        @"{n} = {n} * {d}\n    ",
        @"{n} = {d}\n    {n} = {d}\n    ",
        @"# {p}\n    {n} = {d}\n    ",
        @"{n} = {f}({n}, {n})\n    ",
    ];

    /// <param name="answerA">The token right after the first variant.</param>
    /// <param name="answerB">The token right after the second variant.</param>
    /// <param name="train">One pattern per line, with <c>\n</c> for a line break; each ends where the answer starts.</param>
    /// <param name="test">The same, of other shapes.</param>
    /// <param name="others">Further answers, for tokenizers to which the first are not single tokens.</param>
    internal static PromptTask Create(
        string name,
        string description,
        string answerA,
        string answerB,
        string train,
        string test,
        params AnswerPair[] others
    ) => new(name, description, Fixed(train, answerA, answerB), Fixed(test, answerA, answerB)) { OtherAnswers = others };

    /// <summary>
    /// As <see cref="Create"/>, with each line placed in functions that begin in ten ways. Lines stand at an indentation of 4; later lines
    /// state theirs.
    /// </summary>
    internal static PromptTask CreateInFunctions(
        string name,
        string description,
        string answerA,
        string answerB,
        string train,
        string test
    ) => Create(name, description, answerA, answerB, TrainFunctions(train), TestFunctions(test));

    /// <summary>
    /// For answers that repeat the pattern's own fillings. Each line is the pattern, <c>\t</c>, the answer; each variant has its own.
    /// </summary>
    internal static PromptTask CreateCopying(string name, string description, string train, string test) =>
        new(name, description, Copying(train), Copying(test));

    /// <summary><see cref="CreateCopying"/> in functions.</summary>
    internal static PromptTask CreateCopyingInFunctions(string name, string description, string train, string test) =>
        CreateCopying(name, description, TrainFunctions(train), TestFunctions(test));

    private static string TrainFunctions(string lines) => Cross(@"def {f}({n}):\n    ", TrainStarts, lines);

    private static string TestFunctions(string lines) => Cross(@"def {f}({n8}, {n9}):\n    ", TestStarts, lines);

    private static string Cross(string head, string[] starts, string lines) =>
        string.Join('\n', starts.SelectMany(start => lines.Split('\n').Select(line => head + start + line.TrimEnd('\r'))));

    private static PromptTemplate[] Fixed(string lines, string a, string b) =>
        Templates(lines, (first, second) => new PromptPair(first, second, a, b));

    private static PromptTemplate[] Copying(string lines) =>
        Templates(
            lines.Replace("\\t", "\t", StringComparison.Ordinal),
            (first, second) =>
            {
                string[] partsA = first.Split('\t');
                string[] partsB = second.Split('\t');
                return new PromptPair(partsA[0], partsB[0], partsA[1], partsB[1]);
            }
        );

    private static PromptTemplate[] Templates(string lines, Func<string, string, PromptPair> make) =>
        [
            .. Idioms
                .Patterns(lines)
                .Zip(lines.Split('\n', StringSplitOptions.RemoveEmptyEntries), (pattern, line) => Template(pattern, PlaceOf(line), make)),
        ];

    /// <summary>
    /// Where the corpus has such code: names and keywords at the start of a line are other tokens at the margin than after an indentation.
    /// </summary>
    private static Place PlaceOf(string line) =>
        line[0] == ' ' ? Place.AsWritten
        : line.StartsWith("def ", StringComparison.Ordinal)
        || line.StartsWith("class ", StringComparison.Ordinal)
        || line.Contains(@"\ndef ", StringComparison.Ordinal)
            ? Place.AfterFunction
        : Place.InFunction;

    private static PromptTemplate Template(Pattern pattern, Place place, Func<string, string, PromptPair> make) =>
        (random, distractorLines) =>
        {
            var filler = new SlotFiller(random);
            filler.NewScope();
            var lead = new StringBuilder();
            if (place != Place.AsWritten || distractorLines > LinesOfFunction)
            {
                Distract(lead, filler, distractorLines, place);
            }

            if (place == Place.AfterFunction && lead.Length > 0)
            {
                lead.Append("\n\n");
            }

            string[] values = pattern.Draw(filler);
            return make(lead + Render(0), lead + Render(1));

            string Render(int variant)
            {
                var text = new StringBuilder();
                int indent = place == Place.InFunction ? Indent : 0;
                text.Append(' ', indent);
                pattern.Append(text, values, variant, indent);
                return text.ToString();
            }
        };

    /// <summary>
    /// Whole functions, then lines of one before the statement that matters: in half of the prompts that begin there with the function's
    /// head.
    /// </summary>
    private static void Distract(StringBuilder lead, SlotFiller filler, int most, Place place)
    {
        int lines = filler.Random.NextInt(most + 1);
        for (; lines > LinesOfFunction; lines -= LinesOfFunction)
        {
            Append(Head, 0);
            for (int i = 0; i < LinesOfFunction; i++)
            {
                Append(filler.Random.Pick(Idioms.Plain), Indent);
            }

            lead.Append("\n\n");
        }

        // What brings its own surroundings begins inside a function: only whole ones can stand before it.
        lines = place == Place.AsWritten ? 0 : lines;
        if (lead.Length > 0 || (lines > 0 && filler.Random.NextBool()))
        {
            Append(Head, 0);
        }

        for (; lines > 0; lines--)
        {
            Append(filler.Random.Pick(Idioms.Plain), Indent);
        }

        void Append(Pattern pattern, int indent)
        {
            lead.Append(' ', indent);
            pattern.Append(lead, pattern.Draw(filler), variant: 0, indent);
            lead.Append('\n');
        }
    }

    private enum Place
    {
        /// <summary>The pattern brings its own surroundings, and begins with their indentation.</summary>
        AsWritten,

        /// <summary>At the margin, after the end of another function.</summary>
        AfterFunction,

        /// <summary>A statement of a function's body.</summary>
        InFunction,
    }
}
