using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary><c>bridge eval</c>: errors, hybrid losses, and how much of the dense model's loss is recovered.</summary>
internal static class BridgeEvaluating
{
    public static int Run(BridgeVerb flags, IComputeEngine engine, CancellationToken stop)
    {
        using var opened = new OpenedBridges(
            BridgeVerb.Required(flags.Model, "eval", "--model DIR"),
            flags.Dense,
            engine,
            flags.Data,
            flags.Tokenizer
        );
        TrainingConfig training = opened.Sparse.Training;
        var source = new BatchSource(opened.Sparse.Data.Validation, training.BatchSequences, training.ContextTokens);
        int batches = TrainingRun.CountValidationBatches(source, training);
        if (flags.Untrained)
        {
            // Random whatever training began with; the sparse model is the trained one.
            opened.Bridges.Initialise(training.Seed);
            using var plain = new LanguageModelLoss(opened.Sparse.Model, training.BatchSequences, training.ContextTokens);
            using var coupling = new Coupling(opened.Dense, plain, opened.Bridges);
            coupling.MatchSizes(source.Consecutive(0));
        }

        BridgeEvaluation result = BridgeEvaluation.Measure(
            opened.Dense,
            opened.Sparse.Model,
            opened.Bridges,
            source,
            batches,
            training.BatchSequences,
            training.ContextTokens,
            stop
        );
        _ = NumericalException.RequireFinite(result.DenseLoss, "the dense model's loss");
        _ = NumericalException.RequireFinite(result.SparseLoss, "the sparse model's loss");
        Print(result, flags.Untrained);
        if (flags.Out is not null)
        {
            string path = Path.Combine(OutputFolder.Create(flags.Out), "evaluation.json");
            AtomicFile.WriteText(path, JsonText.Write(result));
            Terminal.Line($"written to {path}");
        }

        return 0;
    }

    private static void Print(BridgeEvaluation result, bool untrained)
    {
        Terminal.Line(
            $"loss on {result.Tokens} validation tokens: dense {result.DenseLoss:0.0000}, sparse {result.SparseLoss:0.0000}; KL(dense "
                + $"|| sparse) {result.KlSparse:0.0000}"
        );
        Terminal.Table(
            [untrained ? "untrained bridge" : "bridge", "NMSE", "KL", "hybrid loss", "mean-ablated loss", "recovered"],
            result
                .Locations.SelectMany(location =>
                    new[]
                    {
                        Row(location.Location + " dense to sparse", location.DenseToSparse),
                        Row(location.Location + " sparse to dense", location.SparseToDense),
                    }
                )
                .Append([
                    "mean",
                    Terminal.Number(result.MeanNmse, "0.0000"),
                    Terminal.Number(result.MeanKl, "0.0000"),
                    "",
                    "",
                    Percent(result.MeanRecovered),
                ])
        );
    }

    private static string[] Row(string name, HybridResult hybrid) =>
        [
            name,
            Terminal.Number(hybrid.Nmse, "0.0000"),
            Terminal.Number(hybrid.Kl, "0.0000"),
            Terminal.Number(hybrid.Loss, "0.0000"),
            Terminal.Number(hybrid.AblatedLoss, "0.0000"),
            Percent(hybrid.Recovered),
        ];

    private static string Percent(double share) => Terminal.Number(100 * share, "0.0") + " %";
}
