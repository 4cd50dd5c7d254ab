using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// The search for settings that a circuit was found in: search.jsonl beside it, or above it where there were several targets.
/// </summary>
/// <param name="Trials">In their order.</param>
internal sealed record SearchTrials(IReadOnlyList<SearchTrial> Trials)
{
    /// <summary>Null where there is none, or where none of its trials has the circuit's settings: it is then another's.</summary>
    /// <exception cref="BadInputException">The file is damaged.</exception>
    public static SearchTrials? Find(CircuitFile file, Circuit circuit) =>
        circuit.Settings is not { } settings
            ? null
            : new[] { file.Sibling(SearchTrial.FileName), file.InFolderAbove(SearchTrial.FileName) }
                .OfType<string>()
                .Select(path => new SearchTrials(SearchTrial.ReadAll(path)))
                .FirstOrDefault(search => search.Trials.Any(trial => Tried(trial, settings)));

    /// <summary>Whether there is one, or a damaged file where it would be: the page then says what is wrong with it.</summary>
    public static bool IsThere(CircuitFile file, Circuit circuit)
    {
        try
        {
            return Find(file, circuit) is not null;
        }
        catch (BadInputException)
        {
            return true;
        }
    }

    private static bool Tried(SearchTrial trial, PruningConfig settings) =>
        settings.KCoef is [double kCoef]
        && kCoef == trial.KCoef
        && settings.Lr == trial.Lr
        && settings.Beta2 == trial.Beta2
        && settings.WeightDecay == trial.WeightDecay;
}
