using Sparsity.Core.Corpora;

namespace Sparsity.Core.Tasks;

/// <summary>Two prompts that differ in what decides: <paramref name="AnswerA"/> is right after the first, <paramref name="AnswerB"/> after the second.</summary>
public sealed record PromptPair(string First, string Second, string AnswerA, string AnswerB);

/// <summary>Which templates prompts come from; the two sets are disjoint.</summary>
public enum TaskSplit
{
    Train,
    Test,
}

/// <summary>A binary next-token task (spec section 3).</summary>
/// <param name="Name">As the paper names it.</param>
/// <param name="Description">What decides.</param>
/// <param name="TrainTemplates">Each draws a pair.</param>
/// <param name="TestTemplates">Of other shapes than the training templates.</param>
public sealed record PromptTask(
    string Name, string Description, IReadOnlyList<Func<RandomSource, PromptPair>> TrainTemplates, IReadOnlyList<Func<RandomSource, PromptPair>> TestTemplates)
{
    private const int CurrentFormatVersion = 1;

    public IReadOnlyList<Func<RandomSource, PromptPair>> Templates(TaskSplit split) => split == TaskSplit.Train ? TrainTemplates : TestTemplates;

    /// <summary>A task of the user's: {format_version, name, description, train: [{first, second, answer_a, answer_b}], test: [...]}.</summary>
    /// <exception cref="BadInputException">The file is missing, damaged, or has no pairs.</exception>
    public static PromptTask Load(string path)
    {
        UserTask task = JsonText.ReadFile<UserTask>(path);
        if (task.FormatVersion > CurrentFormatVersion)
        {
            throw new BadInputException($"{path}: has format version {task.FormatVersion}, but this program reads up to {CurrentFormatVersion}. Use a newer program.");
        }

        return new PromptTask(task.Name, task.Description, Templates("train", task.Train), Templates("test", task.Test));

        IReadOnlyList<Func<RandomSource, PromptPair>> Templates(string part, IReadOnlyList<PromptPair> pairs)
        {
            if (pairs.Count == 0 || pairs.Any(pair => pair.First.Length == 0 || pair.Second.Length == 0 || pair.AnswerA.Length == 0 || pair.AnswerB == pair.AnswerA))
            {
                throw new BadInputException($"{path}: {part} needs at least one pair, each with two prompts and two different answers.");
            }

            return [.. pairs.Select(pair => (Func<RandomSource, PromptPair>)(_ => pair))];
        }
    }

    /// <summary>Zero to two lines that could stand before any statement.</summary>
    internal static string Distractors(PythonParts parts)
    {
        string text = "";
        for (int i = parts.Random.NextInt(3); i > 0; i--)
        {
            string a = parts.Variable();
            text += parts.Random.NextInt(4) switch
            {
                0 => $"{a} = {parts.Number()}\n",
                1 => $"{a} = {parts.VariableBut(a)} + {parts.Number()}\n",
                2 => $"# {parts.Words(3)}\n",
                _ => $"{a} += {parts.Number()}\n",
            };
        }

        return text;
    }

    private sealed record UserTask(int FormatVersion, string Name, string Description, IReadOnlyList<PromptPair> Train, IReadOnlyList<PromptPair> Test);
}
