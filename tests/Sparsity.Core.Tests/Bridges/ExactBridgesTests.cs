using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>
/// Where bridges are exact inverses (<see cref="ShuffledModel"/>) every hybrid pass must give the dense logits, and training has nothing to
/// change.
/// </summary>
public sealed class ExactBridgesTests : IDisposable
{
    private const int Sequences = 2;
    private const int Tokens = 12;

    private static readonly ModelConfig Dense = ShuffledModel.DenseConfig;
    private static readonly ModelConfig Wide = ShuffledModel.WideConfig;

    /// <summary>Nothing moves but by the terms that compare the two models; AbsTopK keeps as many channels as carry something.</summary>
    private static readonly BridgeConfig Config = new()
    {
        CrossEntropyWeight = 0,
        KlSparseWeight = 1,
        EncoderFraction = 1.0 / ShuffledModel.Wider,
        FinalLocation = true,
    };

    private readonly CpuEngine _engine = new(1);
    private readonly ShuffledModel _models;

    public ExactBridgesTests() => _models = new ShuffledModel(_engine);

    public void Dispose()
    {
        _models.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void EveryHybridGivesTheDenseLogits()
    {
        using var bridges = new BridgePairs(_engine, Dense, Wide, Config, isTrained: false);
        _models.MakeExact(bridges);
        using var plain = new LanguageModelLoss(new Transformer(_models.Wide), Sequences, Tokens);
        using var coupling = new Coupling(new Transformer(_models.Dense), plain, bridges);
        int[] tokens = Batch(0);
        coupling.Load(tokens);
        double[] expected = DenseLogits(tokens);
        Assert.Equal(5, bridges.Locations);
        for (int location = 0; location < bridges.Locations; location++)
        {
            coupling.Encode(location);
            coupling.IntoSparse.Run(location);
            Comparison.Close(expected, Read(coupling.IntoSparse.Logits), 1e-5, $"dense to sparse at {location}");
            coupling.Decode(location);
            coupling.IntoDense.Run(location);
            Comparison.Close(expected, Read(coupling.IntoDense.Logits), 1e-5, $"sparse to dense at {location}");
            _engine.Fetch(coupling.ErrorSums);
            (double encoder, double decoder) = coupling.Errors(location);
            Assert.InRange(encoder, 0, 1e-10);
            Assert.InRange(decoder, 0, 1e-10);
        }
    }

    [Fact]
    public void ABridgeThatIsNotExactIsSeen()
    {
        using var bridges = new BridgePairs(_engine, Dense, Wide, Config, isTrained: false);
        _models.MakeExact(bridges);
        float[] bias = new float[ShuffledModel.Channels];
        bias[3] = 1;
        _engine.Write(bridges.Decoders[1].Bias.Value, bias);
        using var plain = new LanguageModelLoss(new Transformer(_models.Wide), Sequences, Tokens);
        using var coupling = new Coupling(new Transformer(_models.Dense), plain, bridges);
        using var loss = new BridgeLoss(coupling);
        BridgeTerms terms = loss.Evaluate(Batch(0));
        Assert.True(
            terms.KlSparseToDense[1] > 0.01 && terms.NmseSparseToDense[1] > 0.01,
            $"{terms.KlSparseToDense[1]} {terms.NmseSparseToDense[1]}"
        );
        // Rounding errors have either sign.
        Assert.InRange(terms.KlSparseToDense[0] + terms.KlSparseToDense[2] + terms.KlDenseToSparse.Sum(), -1e-5, 1e-5);
    }

    [Fact]
    public void TrainingThatStartsThereStaysThere()
    {
        TrainingConfig training = new TrainingConfig
        {
            TotalTokens = 30 * Sequences * Tokens,
            BatchSequences = Sequences,
            ContextTokens = Tokens,
            Lr = 0.01,
            WeightDecay = 0,
            GradientScaling = GradientScaling.None,
            PositionEmbeddings = PositionEmbeddings.Learned,
        }.Resolved(Wide);

        // An epsilon above the rounding errors of a gradient that should be zero, which Adam would otherwise make steps of full length of.
        BridgeConfig config = Config with
        {
            Lr = 0.01,
            Eps = 0.1,
        };
        double worst = Train(exact: true).Max(Math.Abs);
        Assert.True(worst <= 1e-5, $"the loss rose to {worst}");
        Assert.All(Train(exact: false), loss => Assert.True(loss > 0.1, $"random bridges have a loss of {loss}"));

        List<double> Train(bool exact)
        {
            using var trainer = new BridgeTrainer(new Transformer(_models.Dense), Wide, training, config, _models.Wide);
            trainer.Initialise();
            if (exact)
            {
                _models.MakeExact(trainer.Bridges);
            }

            return [.. Enumerable.Range(1, 30).Select(step => trainer.Step(step, Batch(step)).Loss)];
        }
    }

    private static int[] Batch(int index) => [.. TinyModels.Tokens(Sequences * Tokens, 20 + (ulong)index).Select(token => (int)token)];

    private double[] DenseLogits(int[] tokens)
    {
        var model = new Transformer(_models.Dense);
        using ForwardState state = model.CreateForwardState(Sequences, Tokens);
        using var head = new HeadState(_engine, Dense, Sequences, Tokens, state.TokenIds);
        _engine.Write(state.TokenIds, tokens);
        model.Forward(state);
        model.Head.Forward(state.FinalResidual, head);
        return [.. Read(head.Logits).Select(logit => (double)logit)];
    }

    private float[] Read(ActivationTensor tensor)
    {
        var values = new float[tensor.Length];
        _engine.Read(tensor, values);
        return values;
    }
}
