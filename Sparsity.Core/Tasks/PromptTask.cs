namespace Sparsity.Core.Tasks;

/// <summary>Draws a pair of prompts of one shape.</summary>
/// <param name="random">Names, values, and what stands before the statement that matters.</param>
/// <param name="distractorLines">Most lines of other code before that statement; a task of the user's own has none.</param>
public delegate PromptPair PromptTemplate(RandomSource random, int distractorLines);

/// <summary>A binary next-token task: pairs of prompts by template, with the two answers to choose between.</summary>
/// <param name="Name">The name to ask for it by, in snake_case.</param>
/// <param name="Description">What decides, and what the answers are, in one line.</param>
/// <param name="TrainTemplates">Each draws a pair of <see cref="TaskSplit.Train"/>.</param>
/// <param name="TestTemplates">Each draws a pair of <see cref="TaskSplit.Test"/>: statements of other shapes than the training templates'.</param>
public sealed record PromptTask(
    string Name,
    string Description,
    IReadOnlyList<PromptTemplate> TrainTemplates,
    IReadOnlyList<PromptTemplate> TestTemplates)
{
    /// <summary>Most distractor lines where nothing else is asked for: prompts of the small models' length.</summary>
    public const int UsualDistractorLines = 3;

    /// <summary>
    /// Answers that are as right as those of the pairs, in order of preference: taken, both together, where the pairs' own are not single tokens. Empty where
    /// nothing else can follow.
    /// </summary>
    public IReadOnlyList<AnswerPair> OtherAnswers { get; init; } = [];

    /// <summary>The templates of one split.</summary>
    public IReadOnlyList<PromptTemplate> Templates(TaskSplit split) => split == TaskSplit.Train ? TrainTemplates : TestTemplates;

    /// <summary>A pair of the split, its template drawn too.</summary>
    public PromptPair Draw(TaskSplit split, RandomSource random, int distractorLines = UsualDistractorLines) => random.Pick(Templates(split))(random, distractorLines);

    /// <summary>A task of the user's own, from a JSON file.</summary>
    /// <exception cref="BadInputException">The file is missing, is not such a file, or has a prompt in both splits.</exception>
    public static PromptTask Load(string path) => PromptTaskFile.Load(path);
}
