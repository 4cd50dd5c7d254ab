using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels;

namespace Samples;

/// <summary>Trains a weight-sparse model; the folder that it leaves is one that every verb of the command line takes.</summary>
public static class Train
{
    /// <param name="folder">A new folder.</param>
    /// <param name="tokens">Tokens to train on.</param>
    public static void Show(string folder, long tokens, TextWriter output)
    {
        CorpusFolder.Write(
            Path.Combine(folder, "data"),
            SyntheticPython.Documents(seed: 1, bytes: 500_000),
            CorpusInfo.Of("synthetic", seed: 1)
        );
        DataFolder data = DataFolder.Tokenize(Path.Combine(folder, "data"), tokenizer: null, vocabularySize: 400);

        using IComputeEngine engine = EngineFactory.Create("auto");
        ModelConfig model = ModelConfig.Small(data.Tokenizer.VocabularySize);
        TrainingConfig training = TrainingConfig.Small with { TotalTokens = tokens, Density = 1.0 / 32 };
        using TrainingRun run = Run.Create(Path.Combine(folder, "run"), engine, data, model, training);
        run.Run(metrics =>
        {
            if (metrics.ValidationLoss is { } loss)
            {
                output.WriteLine(
                    $"step {metrics.Step} of {run.LastStep}: validation loss {loss:0.00}, "
                        + $"{100 * metrics.Statistics!.NonzeroFraction:0.0} % of the weights"
                );
            }
        });
    }
}
