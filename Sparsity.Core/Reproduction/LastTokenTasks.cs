using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// Tasks that the last token of a prompt decides: a model that reads nothing before it can do them, so their circuits carry nothing over a
/// distance, and say little of how models do that. A task is one of them if among many prompts of both splits no last token has two
/// different right answers.
/// </summary>
internal static class LastTokenTasks
{
    private const int PairsOfASplit = 256;

    /// <param name="tasks">Names of the program's own tasks.</param>
    /// <param name="tokenizer">Of the models.</param>
    /// <param name="config">How prompts are drawn; its seed is the sample's.</param>
    /// <param name="maxTokens">The longest prompt that the models read.</param>
    /// <returns>Those of <paramref name="tasks"/>, in their order. One that cannot be posed is none.</returns>
    public static IReadOnlyList<string> Among(IEnumerable<string> tasks, TextTokenizer tokenizer, PruningConfig config, int maxTokens)
    {
        return [.. tasks.Where(IsOne)];

        bool IsOne(string name) =>
            TokenizedTask.TryCreate(
                TaskCatalogue.Find(name),
                tokenizer,
                Math.Min(config.MaxTokens, maxTokens),
                out TokenizedTask? task,
                out _,
                config.DistractorLines
            ) && LastTokenDecides(Enum.GetValues<TaskSplit>().SelectMany(split => task.Sample(split, config.Seed, PairsOfASplit).Pairs));
    }

    /// <summary>Whether every prompt's right answer is that of all other prompts that end in the same token.</summary>
    public static bool LastTokenDecides(IEnumerable<TokenizedPair> pairs) =>
        pairs
            .SelectMany(pair => new[] { pair.FirstPrompt, pair.SecondPrompt })
            .GroupBy(prompt => prompt.Tokens[^1])
            .All(same => same.Select(prompt => prompt.Right).Distinct().Count() == 1);
}
