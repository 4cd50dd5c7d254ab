using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

[Verb("eval")]
internal sealed class EvalVerb : ModelVerb
{
    [Option("model", MetaValue = "DIR", Required = true, HelpText = "Folder of a run or of a released model.")]
    public string Model { get; set; } = "";

    [Option("json", MetaValue = "FILE", HelpText = "File to write the results to as well.")]
    public string? Json { get; set; }

    public override bool EndsWhenAsked => false;

    /// <summary>What is printed, losses in nats per token.</summary>
    private sealed record Result(
        double ValidationLoss,
        long ValidationTokens,
        double BigramLoss,
        long Nonzero,
        long NonzeroWithoutEmbeddings,
        double NonzeroFraction,
        IReadOnlyList<int> AliveNeurons,
        double FinalResidualKurtosis
    );

    public override int Execute(CancellationToken stop)
    {
        using IComputeEngine engine = CreateEngine();
        using OpenedRun run = Open(Model, engine);
        ReadOnlyMemory<ushort> trained = run.Data.Training,
            validated = run.Data.Validation;
        TrainingConfig training = run.Training;
        TrainingRun.RequireData(training, trained.Length, validated.Length);
        var source = new BatchSource(validated, training.BatchSequences, training.ContextTokens);
        int batches = TrainingRun.CountValidationBatches(source, training);
        using var loss = new LanguageModelLoss(run.Model, training.BatchSequences, training.ContextTokens);
        double validation = NumericalException.RequireFinite(loss.MeanOver(source, batches), "the validation loss");
        ModelStatistics statistics = ModelStatistics.Of(run.Model.Parameters);
        var result = new Result(
            validation,
            (long)batches * training.BatchSequences * training.ContextTokens,
            TrainingRun.BigramLoss(training, run.Model.Config.VocabSize, trained, validated),
            statistics.Nonzero,
            statistics.NonzeroWithoutEmbeddings,
            statistics.NonzeroFraction,
            statistics.AliveNeurons,
            loss.FinalResidualKurtosis()
        );
        Terminal.Table(
            ["measure", "value"],
            [
                ["validation loss (nats per token)", Terminal.Number(result.ValidationLoss, "0.0000")],
                ["validation tokens", $"{result.ValidationTokens}"],
                ["best bigram predictor's loss", Terminal.Number(result.BigramLoss, "0.0000")],
                ["nonzero parameters (L0)", $"{statistics.Nonzero}"],
                ["nonzero without embeddings", $"{statistics.NonzeroWithoutEmbeddings}"],
                ["nonzero share of attention and MLP matrices", Terminal.Number(statistics.NonzeroFraction, "0.00000")],
                ["alive neurons per layer", $"{string.Join(", ", statistics.AliveNeurons)} of {run.Model.Config.DMlp}"],
                ["kurtosis of the final residual", Terminal.Number(result.FinalResidualKurtosis, "0.00")],
            ]
        );
        Save(Json, result);
        return 0;
    }
}
