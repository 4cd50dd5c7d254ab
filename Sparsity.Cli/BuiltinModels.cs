using Sparsity.Core;

namespace Sparsity.Cli;

/// <summary>Models that come with the program, in the folder models beside it: <c>builtin:NAME</c> stands for the folder of one.</summary>
internal static class BuiltinModels
{
    private const string Prefix = "builtin:";

    private static string Root => Path.Combine(AppContext.BaseDirectory, "models");

    /// <summary>Names of the models there are.</summary>
    public static IReadOnlyList<string> Names =>
        Directory.Exists(Root)
            ? [.. Directory.GetDirectories(Root).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)]
            : [];

    /// <summary>A path as it was given, or that of what a built-in model's folder holds.</summary>
    /// <param name="value">A path, or <c>builtin:NAME</c>, perhaps with a path below that folder behind it.</param>
    /// <exception cref="BadInputException">There is no such model.</exception>
    public static string Resolve(string value)
    {
        if (!value.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return value;
        }

        string[] parts = value[Prefix.Length..].Split('/', 2);
        return Names.Contains(parts[0])
            ? Path.Combine([Root, .. parts])
            : throw new BadInputException(
                $"{value}: there is no built-in model '{parts[0]}'"
                    + (Names.Count > 0 ? $"; there is {Spelling.OneOf(Names)}." : ", nor any other in this build.")
            );
    }
}
