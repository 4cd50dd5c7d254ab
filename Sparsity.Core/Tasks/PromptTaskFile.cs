using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace Sparsity.Core.Tasks;

/// <summary>The JSON file of a user's task: {format_version, name, description, train: [{first, second, answer_a, answer_b}], test: [...]}.</summary>
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
        var trained = content.Train.SelectMany(pair => new[] { pair.First, pair.Second }).ToHashSet(StringComparer.Ordinal);
        int shared = content.Test.FindIndex(pair => trained.Contains(pair.First) || trained.Contains(pair.Second));
        if (shared >= 0)
        {
            throw new BadInputException($"{path}: test[{shared}] has a prompt that is in train too; expected prompts of their own in each. Change or remove one of them.");
        }

        string fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonText.WriteLine(content))));
        return new PromptTask(content.Name, content.Description, Templates(content.Train), Templates(content.Test)) { File = new TaskFile(Path.GetFullPath(path), fingerprint) };
    }

    private static void Check(string path, string split, List<PromptPair> pairs)
    {
        if (pairs.Count == 0)
        {
            throw new BadInputException($"{path}: {split} has no pairs; expected at least one. Add {{\"first\", \"second\", \"answer_a\", \"answer_b\"}}.");
        }

        for (int i = 0; i < pairs.Count; i++)
        {
            PromptPair pair = pairs[i];
            string? wrong = pair.First.Length == 0 || pair.Second.Length == 0 ? "has an empty prompt; expected text before the answer"
                : pair.AnswerA.Length == 0 || pair.AnswerB.Length == 0 ? "has an empty answer; expected one token of text"
                : pair.First == pair.Second ? "has equal prompts; expected prompts that differ in what decides"
                : pair.AnswerA == pair.AnswerB ? "has equal answers; expected two different ones"
                : null;
            if (wrong is not null)
            {
                throw new BadInputException($"{path}: {split}[{i}] {wrong}. Correct or remove it.");
            }
        }
    }

    private static PromptTemplate[] Templates(List<PromptPair> pairs) => [.. pairs.Select(pair => (PromptTemplate)((_, _) => pair))];

    private sealed record Content(
        [property: JsonRequired] int FormatVersion,
        [property: JsonRequired] string Name,
        [property: JsonRequired] string Description,
        [property: JsonRequired] List<PromptPair> Train,
        [property: JsonRequired] List<PromptPair> Test);
}
