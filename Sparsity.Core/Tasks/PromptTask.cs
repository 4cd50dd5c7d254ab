namespace Sparsity.Core.Tasks;

/// <summary>Draws a pair of prompts of one shape.</summary>
/// <param name="random">Names, values, and what stands before the statement that matters.</param>
/// <param name="distractorLines">Most lines of other code before that statement; a task of the user's own has none.</param>
public delegate PromptPair PromptTemplate(RandomSource random, int distractorLines);

/// <summary>A binary next-token task: pairs of prompts by template, with the two answers to choose between.</summary>
/// <param name="Name">The name to ask for it by, in snake_case.</param>
/// <param name="Description">What decides, and what the answers are, in one line.</param>
/// <param name="TrainTemplates">Each draws a pair of <see cref="TaskSplit.Train"/>.</param>
/// <param name="TestTemplates">Each draws a pair of <see cref="TaskSplit.Test"/>: statements of other shapes than the training
/// templates'.</param>
public sealed record PromptTask(
    string Name,
    string Description,
    IReadOnlyList<PromptTemplate> TrainTemplates,
    IReadOnlyList<PromptTemplate> TestTemplates
)
{
    /// <summary>Most distractor lines where nothing else is asked for: prompts of the small models' length.</summary>
    public const int UsualDistractorLines = 3;

    /// <summary>
    /// Answers that are as right as those of the pairs, in order of preference: taken, both together, where the pairs' own are not single
    /// tokens. Empty where nothing else can follow.
    /// </summary>
    public IReadOnlyList<AnswerPair> OtherAnswers { get; init; } = [];

    /// <summary>Null for the program's own tasks.</summary>
    public TaskFile? File { get; init; }

    /// <summary>
    /// Whether it poses pairs whose prompts differ in what decides; false where every prompt stands alone, and two of them are only drawn
    /// together.
    /// </summary>
    public bool IsPaired { get; init; } = true;

    /// <summary>
    /// Draws a piece of text by which a prompt's statement can go on while the same answer stays right, such as one more element of a list;
    /// null where there is none.
    /// </summary>
    internal Func<RandomSource, string>? FurtherPiece { get; init; }

    /// <summary>The templates of one split.</summary>
    public IReadOnlyList<PromptTemplate> Templates(TaskSplit split) => split == TaskSplit.Train ? TrainTemplates : TestTemplates;

    /// <summary>A pair of the split, its template drawn too.</summary>
    public PromptPair Draw(TaskSplit split, RandomSource random, int distractorLines = UsualDistractorLines) =>
        random.Pick(Templates(split))(random, distractorLines);

    /// <summary>Whether the statement that matters can go on before the answer.</summary>
    internal bool CanBeDiluted => FurtherPiece is not null;

    /// <summary>
    /// The same task, every prompt longer by so many elements or words of the statement that decides: what decides becomes a smaller share
    /// of what a head averages over, as in the paper's attack on its circuit for brackets.
    /// </summary>
    /// <exception cref="BadInputException">The statements of this task cannot go on.</exception>
    public PromptTask Diluted(int pieces)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(pieces);
        if (FurtherPiece is not { } piece)
        {
            IEnumerable<string> others = TaskCatalogue.All.Where(task => task.CanBeDiluted).Select(task => task.Name);
            throw new BadInputException(
                $"{Name} cannot be diluted: its statements cannot go on before the answer. Those of {string.Join(" and ", others)} can."
            );
        }

        return this with
        {
            TrainTemplates = [.. TrainTemplates.Select(Longer)],
            TestTemplates = [.. TestTemplates.Select(Longer)],
        };

        PromptTemplate Longer(PromptTemplate template) =>
            (random, distractorLines) =>
            {
                PromptPair pair = template(random, distractorLines);
                string more = string.Concat(Enumerable.Range(0, pieces).Select(_ => piece(random)));
                return pair with { First = pair.First + more, Second = pair.Second + more };
            };
    }

    /// <summary>A task of the user's own, from a JSON file.</summary>
    /// <exception cref="BadInputException">The file is missing, is not such a file, or has a prompt in both splits.</exception>
    public static PromptTask Load(string path) => PromptTaskFile.Load(path);

    /// <summary>
    /// One of the program's own by its name, or that of a file: a file that is named as one of the program's own is given as ./NAME.
    /// </summary>
    /// <exception cref="BadInputException">There is neither.</exception>
    public static PromptTask Find(string nameOrPath) =>
        TaskCatalogue.All.FirstOrDefault(task => task.Name == nameOrPath)
        ?? (System.IO.File.Exists(nameOrPath) ? Load(nameOrPath) : TaskCatalogue.Find(nameOrPath));

    /// <summary>The task that something was measured on before.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="recorded">The file it came from; null for one of the program's own, and in files of earlier versions, which do not
    /// say.</param>
    /// <param name="given">The file or name that is given now; null to go by <paramref name="recorded"/>.</param>
    /// <exception cref="BadInputException">It is not found, or is another task than before.</exception>
    public static PromptTask FindAgain(string name, TaskFile? recorded, string? given = null)
    {
        if (given is null && recorded is null)
        {
            return TaskCatalogue.All.FirstOrDefault(task => task.Name == name)
                ?? throw new BadInputException(
                    $"{name} is not one of the program's own tasks, and its file is not known. Give the task's file."
                );
        }

        if (given is null && !System.IO.File.Exists(recorded!.Path))
        {
            throw new BadInputException($"{recorded.Path}: the file of task {name} is gone. Restore it, or give the task's file.");
        }

        PromptTask task = given is null ? Load(recorded!.Path) : Find(given);
        if (task.Name == name && (recorded is null || task.File?.Fingerprint == recorded.Fingerprint))
        {
            return task;
        }

        string why = recorded is null ? "" : ": its prompts differ";
        throw new BadInputException(
            $"{given ?? recorded!.Path}: is another task than {name} as it was then{why}. Restore the file, or give the right one."
        );
    }
}
