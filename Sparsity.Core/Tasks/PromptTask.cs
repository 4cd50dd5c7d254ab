namespace Sparsity.Core.Tasks;

/// <summary>A binary next-token task: pairs of prompts by template, with the two answers to choose between.</summary>
/// <param name="Name">The name to ask for it by, in snake_case.</param>
/// <param name="Description">What decides, and what the answers are, in one line.</param>
/// <param name="TrainTemplates">Each draws a pair of <see cref="TaskSplit.Train"/>.</param>
/// <param name="TestTemplates">Each draws a pair of <see cref="TaskSplit.Test"/>: statements of other shapes than the training templates'.</param>
public sealed record PromptTask(
    string Name,
    string Description,
    IReadOnlyList<Func<RandomSource, PromptPair>> TrainTemplates,
    IReadOnlyList<Func<RandomSource, PromptPair>> TestTemplates)
{
    /// <summary>
    /// Answers that are as right as those of the pairs, in order of preference: taken, both together, where the pairs' own are not single tokens. Empty where
    /// nothing else can follow.
    /// </summary>
    public IReadOnlyList<AnswerPair> OtherAnswers { get; init; } = [];

    /// <summary>The templates of one split.</summary>
    public IReadOnlyList<Func<RandomSource, PromptPair>> Templates(TaskSplit split) => split == TaskSplit.Train ? TrainTemplates : TestTemplates;

    /// <summary>A pair of the split, its template drawn too.</summary>
    public PromptPair Draw(TaskSplit split, RandomSource random) => random.Pick(Templates(split))(random);

    /// <summary>A task of the user's own, from a JSON file.</summary>
    /// <exception cref="BadInputException">The file is missing, is not such a file, or has a prompt in both splits.</exception>
    public static PromptTask Load(string path) => PromptTaskFile.Load(path);
}
