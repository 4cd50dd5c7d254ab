using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;

namespace Sparsity.Core.Reproduction;

/// <summary>How sparse models and dense ones of equal validation loss predict one token of the vocabulary.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Text">As <see cref="TextTokenizer.Describe"/> writes it.</param>
/// <param name="Count">How often it is to be predicted in the validation text.</param>
/// <param name="Sparse">Mean loss in nats of sparse models, over these places and over models.</param>
/// <param name="Dense">The same of dense models.</param>
/// <param name="SmallestDifference">Of a sparse model's mean loss minus that of its dense partner.</param>
/// <param name="LargestDifference">The same; of one sign with the smallest where all pairs of models agree which is worse.</param>
internal sealed record TokenLoss(
    int Token,
    string Text,
    int Count,
    double Sparse,
    double Dense,
    double SmallestDifference,
    double LargestDifference
)
{
    /// <summary>How much more the sparse models lose at all places of the token together, in nats.</summary>
    public double Excess() => Count * (Sparse - Dense);

    /// <summary>Whether every sparse model predicts it worse than its dense partner.</summary>
    public bool IsWorse() => SmallestDifference > 0;

    /// <summary>Whether every sparse model predicts it better.</summary>
    public bool IsBetter() => LargestDifference < 0;

    /// <summary>The numbers of every token that occurs, by id.</summary>
    /// <param name="pairs">Of each sparse model and its dense partner, on the same text.</param>
    public static IReadOnlyList<TokenLoss> Of(IReadOnlyList<(TokenLossSums Sparse, TokenLossSums Dense)> pairs, TextTokenizer tokenizer)
    {
        IReadOnlyList<int> counts = pairs[0].Sparse.Counts;
        return
        [
            .. Enumerable
                .Range(0, counts.Count)
                .Where(token => counts[token] > 0)
                .Select(token =>
                {
                    double[] differences = [.. pairs.Select(pair => pair.Sparse.Mean(token) - pair.Dense.Mean(token))];
                    return new TokenLoss(
                        token,
                        tokenizer.Describe(token),
                        counts[token],
                        pairs.Average(pair => pair.Sparse.Mean(token)),
                        pairs.Average(pair => pair.Dense.Mean(token)),
                        differences.Min(),
                        differences.Max()
                    );
                }),
        ];
    }
}

/// <summary>Losses of one model on validation text, by the token to be predicted.</summary>
/// <param name="Counts">[V]: how often each token is to be predicted.</param>
/// <param name="Sums">[V]: its losses together, in nats.</param>
internal sealed record TokenLossSums(IReadOnlyList<int> Counts, IReadOnlyList<double> Sums)
{
    /// <summary>Mean loss at a token that occurs.</summary>
    public double Mean(int token) => Sums[token] / Counts[token];

    /// <summary>Measures a model on the windows that its validation loss is measured on.</summary>
    /// <param name="model">The model.</param>
    /// <param name="training">Says how long and how many the windows are.</param>
    /// <param name="validation">The validation stream.</param>
    public static TokenLossSums Measure(Transformer model, TrainingConfig training, ReadOnlyMemory<ushort> validation)
    {
        using var loss = new LanguageModelLoss(model, training.BatchSequences, training.ContextTokens);
        var source = new BatchSource(validation, training.BatchSequences, training.ContextTokens);
        var counts = new int[model.Config.VocabSize];
        var sums = new double[model.Config.VocabSize];
        var losses = new float[training.BatchSequences * training.ContextTokens];
        for (int batch = 0; batch < TrainingRun.CountValidationBatches(source, training); batch++)
        {
            ReadOnlySpan<int> tokens = source.Consecutive(batch);
            loss.Run(tokens);
            model.Parameters.Engine.Read(loss.Head.Losses, losses);
            for (int i = 0; i < losses.Length; i++)
            {
                if (i % training.ContextTokens < training.ContextTokens - 1)
                {
                    counts[tokens[i + 1]]++;
                    sums[tokens[i + 1]] += losses[i];
                }
            }
        }

        return new TokenLossSums(counts, sums);
    }
}
