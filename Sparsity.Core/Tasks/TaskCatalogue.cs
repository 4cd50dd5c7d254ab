using Sparsity.Core.Corpora;

namespace Sparsity.Core.Tasks;

/// <summary>The tasks this program knows.</summary>
public static class TaskCatalogue
{
    public static IReadOnlyList<PromptTask> All { get; } = [QuoteTask.Create(), BracketTask.Create(), SetOrStringTask.Create(), ElseElifTask.Create()];

    /// <exception cref="BadInputException">There is no task of this name.</exception>
    public static PromptTask Find(string name) => All.FirstOrDefault(task => task.Name == name)
        ?? throw new BadInputException($"'{name}' is no task. Tasks are {string.Join(", ", All.Select(task => task.Name))}; or give a JSON file of prompt pairs.");

    /// <summary>A task from templates that write the part before what decides and the part after it.</summary>
    internal static PromptTask Make(string name, string description, Func<PythonParts, string, PromptPair> pair, string[] train, string[] test)
    {
        return new PromptTask(name, description, Templates(train), Templates(test));

        IReadOnlyList<Func<RandomSource, PromptPair>> Templates(string[] shapes) =>
        [
            .. shapes.Select(shape => (Func<RandomSource, PromptPair>)(random =>
            {
                var parts = new PythonParts(random);
                return pair(parts, PromptTask.Distractors(parts) + Fill(parts, shape));
            })),
        ];
    }

    /// <summary>Replaces V, W by variables, F by a function's name, N by a number, C by words.</summary>
    private static string Fill(PythonParts parts, string shape)
    {
        var text = new System.Text.StringBuilder();
        foreach (char c in shape)
        {
            text.Append(c switch
            {
                'V' or 'W' => parts.Variable(),
                'F' => parts.Function(),
                'N' => parts.Number(),
                'C' => parts.Words(3),
                _ => c,
            });
        }

        return text.ToString();
    }
}
