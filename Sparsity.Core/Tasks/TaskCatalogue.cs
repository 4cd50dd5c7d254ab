namespace Sparsity.Core.Tasks;

/// <summary>The tasks that come with the program.</summary>
public static class TaskCatalogue
{
    /// <summary>All of them, the most studied first.</summary>
    public static IReadOnlyList<PromptTask> All { get; } =
    [.. ContainerTasks.All, .. HeaderTasks.All, .. FunctionTasks.All, .. StatementTasks.All];

    /// <summary>The task of that name.</summary>
    /// <exception cref="BadInputException">There is none.</exception>
    public static PromptTask Find(string name) =>
        All.FirstOrDefault(task => task.Name == name)
        ?? throw new BadInputException(
            $"There is no task '{name}'; expected one of "
                + $"{string.Join(", ", All.Select(task => task.Name).Order(StringComparer.Ordinal))}."
                + $"{Spelling.Suggestion(name, All.Select(task => task.Name))} For one of your own give the path of its JSON file."
        );
}
