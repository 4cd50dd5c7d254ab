using Sparsity.Core;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>Flags of training that other settings leave without effect.</summary>
internal static class UnusedTrainingFlags
{
    private const string Anneal = "pfrac-anneal-";
    private static readonly string[] OfSparse =
    [
        "expansion-factor",
        "expansion-factor-mlp",
        "minimum-alive",
        "pfrac-anneal",
        "sparse-biases",
    ];

    /// <param name="given">Names of the flags that were given, without the dashes.</param>
    /// <param name="training">The settings with these flags.</param>
    /// <param name="processes">How many take part.</param>
    /// <exception cref="BadInputException">A flag would be passed over.</exception>
    public static void Refuse(IReadOnlySet<string> given, TrainingConfig training, int processes)
    {
        RefuseIf(
            !training.IsSparse(),
            "the model is dense",
            name => OfSparse.Contains(name) || name.StartsWith(Anneal, StringComparison.Ordinal)
        );
        RefuseIf(!training.PfracAnneal, "pfrac_anneal is false", name => name.StartsWith(Anneal, StringComparison.Ordinal));
        RefuseIf(training.PfracAnnealMode != AnnealMode.Linear, "pfrac_anneal_mode is power_law", name => name == Anneal + "exponent");
        RefuseIf(
            training.GradientScaling != GradientScaling.Clip,
            $"gradient_scaling is {training.GradientScaling.ToString().ToLowerInvariant()}",
            name => name == "gradient-clip-rms"
        );
        RefuseIf(processes == 1, "there is one process only", name => name == "compare-weights-every");

        void RefuseIf(bool holds, string why, Func<string, bool> isUnused)
        {
            string[] unused = holds ? [.. given.Where(isUnused).Order(StringComparer.Ordinal).Select(name => "--" + name)] : [];
            if (unused.Length > 0)
            {
                throw new BadInputException(
                    $"train does not use {string.Join(", ", unused)}: {why}. Leave {(unused.Length == 1 ? "it" : "them")} out."
                );
            }
        }
    }
}
