using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>
/// A "sparse" model that is the dense one in other coordinates: four times as many residual channels, of which a shuffled quarter carries the dense channels with
/// shuffled signs and the others stay zero. Bridges that shuffle and unshuffle are then exact inverses, and every hybrid pass must give the dense logits.
/// </summary>
public sealed class ExactBridgesTests : IDisposable
{
    private const int Sequences = 2;
    private const int Tokens = 12;
    private const int Channels = 16;
    private const int Wider = 4;

    private static readonly ModelConfig Dense = TinyModels.Config with { Afrac = null };
    private static readonly ModelConfig Wide = Dense with { DModel = Wider * Channels };

    /// <summary>Nothing moves but by the terms that compare the two models; AbsTopK keeps as many channels as carry something.</summary>
    private static readonly BridgeConfig Config = new() { CrossEntropyWeight = 0, KlSparseWeight = 1, EncoderFraction = 1.0 / Wider, FinalLocation = true };

    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _dense;
    private readonly ModelParameters _wide;
    private readonly int[] _places;
    private readonly float[] _signs;

    public ExactBridgesTests()
    {
        var random = new RandomSource(11);
        int[] places = [.. Enumerable.Range(0, Wide.DModel)];
        random.Shuffle<int>(places);
        _places = places[..Channels];
        _signs = [.. _places.Select(_ => random.NextBool() ? 1f : -1f)];
        _dense = TinyModels.Random(_engine, Dense, 1);
        _wide = new ModelParameters(_engine, Wide);
        foreach (Parameter parameter in _wide.All)
        {
            _engine.Write(parameter.Value, Shuffled(parameter.Spec));
        }
    }

    public void Dispose()
    {
        _dense.Dispose();
        _wide.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void EveryHybridGivesTheDenseLogits()
    {
        using var bridges = new BridgePairs(_engine, Dense, Wide, Config, isTrained: false);
        MakeExact(bridges);
        using var plain = new LanguageModelLoss(new Transformer(_wide), Sequences, Tokens);
        using var coupling = new Coupling(new Transformer(_dense), plain, bridges);
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
        MakeExact(bridges);
        float[] bias = new float[Channels];
        bias[3] = 1;
        _engine.Write(bridges.Decoders[1].Bias.Value, bias);
        using var plain = new LanguageModelLoss(new Transformer(_wide), Sequences, Tokens);
        using var coupling = new Coupling(new Transformer(_dense), plain, bridges);
        using var loss = new BridgeLoss(coupling);
        BridgeTerms terms = loss.Evaluate(Batch(0));
        Assert.True(terms.KlSparseToDense[1] > 0.01 && terms.NmseSparseToDense[1] > 0.01, $"{terms.KlSparseToDense[1]} {terms.NmseSparseToDense[1]}");
        Assert.InRange(terms.KlSparseToDense[0] + terms.KlSparseToDense[2] + terms.KlDenseToSparse.Sum(), -1e-5, 1e-5); // rounding, of either sign
    }

    [Fact]
    public void TrainingThatStartsThereStaysThere()
    {
        TrainingConfig training = new TrainingConfig
        {
            TotalTokens = 30 * Sequences * Tokens, BatchSequences = Sequences, ContextTokens = Tokens, Lr = 0.01, WeightDecay = 0, GradientScaling = GradientScaling.None,
            PositionEmbeddings = PositionEmbeddings.Learned,
        }.Resolved(Wide);

        // An epsilon above the rounding errors of a gradient that should be zero, which Adam would otherwise make steps of full length of.
        BridgeConfig config = Config with { Lr = 0.01, Eps = 0.1 };
        double worst = Train(exact: true).Max(Math.Abs);
        Assert.True(worst <= 1e-5, $"the loss rose to {worst}");
        Assert.All(Train(exact: false), loss => Assert.True(loss > 0.1, $"random bridges have a loss of {loss}"));

        List<double> Train(bool exact)
        {
            using var trainer = new BridgeTrainer(new Transformer(_dense), Wide, training, config, _wide);
            trainer.Initialise();
            if (exact)
            {
                MakeExact(trainer.Bridges);
            }

            return [.. Enumerable.Range(1, 30).Select(step => trainer.Step(step, Batch(step)).Loss)];
        }
    }

    /// <summary>A parameter of the wide model: that of the dense one, with its residual channels where they go.</summary>
    private float[] Shuffled(ParameterSpec spec)
    {
        float[] from = _dense.Read(spec.Name);
        if (spec.Columns == Wide.DModel && spec.Shape.Count == 1)
        {
            // RMSNorm sees the same squares among four times as many channels: its output is doubled, and so halved here. Biases of c_proj only move.
            bool isNorm = spec.Name.Contains("ln_", StringComparison.Ordinal);
            var vector = new float[Wide.DModel];
            for (int i = 0; i < Channels; i++)
            {
                vector[_places[i]] = isNorm ? from[i] / 2 : _signs[i] * from[i];
            }

            return vector;
        }

        return spec.Columns == Wide.DModel ? MoveColumns(from, spec.Rows)
            : spec.Shape.Count == 2 && spec.Rows == Wide.DModel ? MoveRows(from, spec.Columns)
            : from;
    }

    private float[] MoveColumns(float[] from, int rows)
    {
        var to = new float[rows * Wide.DModel];
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < Channels; i++)
            {
                to[(row * Wide.DModel) + _places[i]] = _signs[i] * from[(row * Channels) + i];
            }
        }

        return to;
    }

    private float[] MoveRows(float[] from, int columns)
    {
        var to = new float[Wide.DModel * columns];
        for (int i = 0; i < Channels; i++)
        {
            for (int column = 0; column < columns; column++)
            {
                to[(_places[i] * columns) + column] = _signs[i] * from[(i * columns) + column];
            }
        }

        return to;
    }

    private void MakeExact(BridgePairs bridges)
    {
        var identity = new float[Channels * Channels];
        for (int i = 0; i < Channels; i++)
        {
            identity[(i * Channels) + i] = 1;
        }

        for (int location = 0; location < bridges.Locations; location++)
        {
            _engine.Write(bridges.Encoders[location].Weight.Value, MoveRows(identity, Channels));
            _engine.Write(bridges.Decoders[location].Weight.Value, MoveColumns(identity, Channels));
            _engine.Zero(bridges.Encoders[location].Bias.Value);
            _engine.Zero(bridges.Decoders[location].Bias.Value);
        }
    }

    private static int[] Batch(int index) => [.. TinyModels.Tokens(Sequences * Tokens, 20 + (ulong)index).Select(token => (int)token)];

    private double[] DenseLogits(int[] tokens)
    {
        var model = new Transformer(_dense);
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
