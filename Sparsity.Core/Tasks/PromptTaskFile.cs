using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tasks;

/// <summary>
/// The JSON file of a user's task: {format_version, name, description, train: [...], test: [...]}. Its entries are either all pairs,
/// {first, second, answer_a, answer_b},
/// or all single prompts, {prompt, right, wrong}.
/// </summary>
internal static class PromptTaskFile
{
    internal static PromptTask Load(string path)
    {
        Content content = JsonText.ReadFile<Content>(path);
        if (content.Name.Length == 0 || content.Name.Any(c => !(char.IsAsciiLetterOrDigit(c) || c is '_' or '-')))
        {
            throw new BadInputException($"{path}: name is '{content.Name}'; expected letters, digits, '_' and '-'. Rename the task.");
        }

        Check(path, "train", content.Train);
        Check(path, "test", content.Test);
        bool isPaired = content.Train[0].IsPair;
        if (content.Train.Concat(content.Test).Any(entry => entry.IsPair != isPaired))
        {
            throw new BadInputException(
                $"{path}: has pairs (first, second, answer_a, answer_b) and single prompts (prompt, right, "
                    + "wrong); expected one of the two kinds. Make two tasks of it."
            );
        }

        var trained = content.Train.SelectMany(entry => entry.Prompts).ToHashSet(StringComparer.Ordinal);
        int shared = content.Test.FindIndex(entry => entry.Prompts.Any(trained.Contains));
        if (shared >= 0)
        {
            throw new BadInputException(
                $"{path}: test[{shared}] has a prompt that is in train too; expected prompts of their own in "
                    + "each. Change or remove one of them."
            );
        }

        string fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonText.WriteLine(content))));
        return new PromptTask(content.Name, content.Description, Templates(content.Train), Templates(content.Test))
        {
            IsPaired = isPaired,
            File = new TaskFile(Path.GetFullPath(path), fingerprint),
        };
    }

    private static void Check(string path, string split, List<Entry> entries)
    {
        if (entries.Count == 0)
        {
            throw new BadInputException(
                $"{path}: {split} has no pairs; expected at least one. Add {{\"first\", \"second\", \"answer_a\", \"answer_b\"}}, or "
                    + $"{{\"prompt\", \"right\", \"wrong\"}}."
            );
        }

        for (int i = 0; i < entries.Count; i++)
        {
            Entry entry = entries[i];
            string? wrong =
                entry.Fault is { } fault ? $"{fault}; expected either first, second, answer_a and answer_b, or prompt, right " + "and wrong"
                : entry.Prompts.Any(prompt => prompt.Length == 0) ? "has an empty prompt; expected text before the answer"
                : entry.Answers.Any(answer => answer.Length == 0) ? "has an empty answer; expected one token of text"
                : entry.IsPair && entry.First == entry.Second ? "has equal prompts; expected prompts that differ in what decides"
                : entry.Answers.Distinct().Count() < 2 ? "has equal answers; expected two different ones"
                : null;
            if (wrong is not null)
            {
                throw new BadInputException($"{path}: {split}[{i}] {wrong}. Correct or remove it.");
            }
        }
    }

    /// <summary>
    /// Each entry is a template. A single prompt is drawn together with another one of the split, which has answers of its own.
    /// </summary>
    private static PromptTemplate[] Templates(List<Entry> entries) =>
        [
            .. entries.Select(
                (entry, i) =>
                    (PromptTemplate)(
                        (random, _) => entry.IsPair ? entry.Pair : entry.With(entries[(i + Other(random, entries.Count)) % entries.Count])
                    )
            ),
        ];

    /// <summary>How far the other one is, round and round; 0 where there is no other.</summary>
    private static int Other(RandomSource random, int count) => count == 1 ? 0 : 1 + random.NextInt(count - 1);

    private sealed record Content(
        [property: JsonRequired] int FormatVersion,
        [property: JsonRequired] string Name,
        [property: JsonRequired] string Description,
        [property: JsonRequired] List<Entry> Train,
        [property: JsonRequired] List<Entry> Test
    );

    /// <summary>A pair or a single prompt.</summary>
    private sealed record Entry
    {
        public string? First { get; init; }

        public string? Second { get; init; }

        public string? AnswerA { get; init; }

        public string? AnswerB { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Prompt { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Right { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Wrong { get; init; }

        [JsonIgnore]
        public bool IsPair => Prompt is null && Right is null && Wrong is null;

        [JsonIgnore]
        public string[] Prompts => IsPair ? [First!, Second!] : [Prompt!];

        [JsonIgnore]
        public string[] Answers => IsPair ? [AnswerA!, AnswerB!] : [Right!, Wrong!];

        [JsonIgnore]
        public PromptPair Pair => new(First!, Second!, AnswerA!, AnswerB!);

        /// <summary>A field that its kind has and it lacks, or that it has and its kind lacks; null for none.</summary>
        [JsonIgnore]
        public string? Fault
        {
            get
            {
                (string Name, string? Value)[] pair = [("first", First), ("second", Second), ("answer_a", AnswerA), ("answer_b", AnswerB)];
                (string Name, string? Value)[] single = [("prompt", Prompt), ("right", Right), ("wrong", Wrong)];
                (string Name, string? Value)[] own = IsPair || pair.Any(entry => entry.Value is not null) ? pair : single;
                return own.FirstOrDefault(entry => entry.Value is null).Name is { } missing ? $"has no {missing}"
                    : !IsPair && own == pair ? $"is a pair and has {single.First(entry => entry.Value is not null).Name}"
                    : null;
            }
        }

        public PromptPair With(Entry other) =>
            new(Prompt!, other.Prompt!, Right!, Wrong!) { OwnSecond = new AnswerPair(other.Right!, other.Wrong!) };
    }
}
