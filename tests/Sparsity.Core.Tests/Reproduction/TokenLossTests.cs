using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Losses token by token add up to the validation loss, and each stands with the token that was to be predicted.</summary>
public class TokenLossTests
{
    private static readonly TextTokenizer Tokenizer = TokenizerFolder.Load(
        Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128", "tokenizer")
    );

    [Fact]
    public void TheyAddUpToTheValidationLoss()
    {
        using IComputeEngine engine = new CpuEngine(1);
        using ModelParameters parameters = Model(engine);
        var model = new Transformer(parameters);
        TrainingConfig training = TinyModels.Training;
        ushort[] text = TinyModels.Tokens(400, 2);
        var source = new BatchSource(text, training.BatchSequences, training.ContextTokens);
        using var loss = new LanguageModelLoss(model, training.BatchSequences, training.ContextTokens);
        int batches = Math.Min(source.ConsecutiveBatches, training.ValidationTokens / training.BatchSequences / training.ContextTokens);
        int places = batches * training.BatchSequences * (training.ContextTokens - 1);

        var sums = TokenLossSums.Measure(model, training, text);

        Assert.Equal(places, sums.Counts.Sum());
        Assert.Equal(loss.MeanOver(source, batches), sums.Sums.Sum() / places, 1e-5);
    }

    [Fact]
    public void AModelThatSaysOneTokenOnlyIsRightThereAndWrongElsewhere()
    {
        ushort[] text = TinyModels.Tokens(400, 2);
        int favourite = text[5];
        using IComputeEngine engine = new CpuEngine(1);
        using ModelParameters parameters = Model(engine);
        foreach (Parameter parameter in parameters.All)
        {
            engine.Zero(parameter.Value);
        }

        Parameter bias = parameters[ParameterNames.LogitsBias];
        var logits = new float[bias.Value.Length];
        logits[favourite] = 20;
        engine.Write(bias.Value, logits);

        var sums = TokenLossSums.Measure(new Transformer(parameters), TinyModels.Training, text);

        Assert.Equal(0, sums.Mean(favourite), 1e-5);
        Assert.All(
            Enumerable.Range(0, sums.Counts.Count).Where(token => token != favourite && sums.Counts[token] > 0),
            token => Assert.Equal(20, sums.Mean(token), 1e-4)
        );
    }

    [Fact]
    public void ATokenIsWorseOnlyIfItIsForEveryPairOfModels()
    {
        TokenLossSums Sums(params double[] means) => new([10, 10, 0, 5], [means[0] * 10, means[1] * 10, 0, means[2] * 5]);

        IReadOnlyList<TokenLoss> losses = TokenLoss.Of([(Sums(2, 1, 3), Sums(1, 1.5, 1)), (Sums(4, 2, 3), Sums(1, 1, 3.5))], Tokenizer);

        Assert.Equal([0, 1, 3], losses.Select(token => token.Token)); // token 2 does not occur
        Assert.Equal([true, false, false], losses.Select(token => token.IsWorse()));
        Assert.All(losses, token => Assert.False(token.IsBetter()));
        Assert.Equal((3, 1), (losses[0].Sparse, losses[0].Dense));
        Assert.Equal((1, 3), (losses[0].SmallestDifference, losses[0].LargestDifference));
        Assert.Equal([20, 2.5, 3.75], losses.Select(token => token.Excess()));
        Assert.Equal(Tokenizer.Describe(3), losses[2].Text);
    }

    private static ModelParameters Model(IComputeEngine engine)
    {
        var parameters = new ModelParameters(engine, TinyModels.Config);
        parameters.Initialise(5);
        return parameters;
    }
}
