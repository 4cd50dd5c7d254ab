using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>Bridges that start where their errors are least.</summary>
public sealed class LeastSquaresTests : IDisposable
{
    private const int Sequences = 3;
    private const int Tokens = 12;

    private static readonly BridgeConfig OnlyErrors = new()
    {
        CrossEntropyWeight = 0,
        KlDenseToSparseWeight = 0,
        KlSparseToDenseWeight = 0,
        EncoderFraction = null,
        FinalLocation = true,
    };

    private readonly CpuEngine _engine = new(1);
    private readonly BatchSource _source = new(TinyModels.Tokens(2000, 3), Sequences, Tokens);

    public void Dispose() => _engine.Dispose();

    [Fact]
    public void ExactBridgesAreFound()
    {
        using var models = new ShuffledModel(_engine);
        BridgeConfig config = OnlyErrors with { EncoderFraction = 1.0 / ShuffledModel.Wider, StartBatches = 8, StartRidge = 1e-7 };
        TrainingConfig training = (TinyModels.Training with { Density = null, Pfrac = null }).Resolved(ShuffledModel.WideConfig);
        using var trainer = new BridgeTrainer(new Transformer(models.Dense), ShuffledModel.WideConfig, training, config, models.Wide);
        trainer.Initialise();
        trainer.InitialiseFromData(_source);
        using var coupling = new Coupling(new Transformer(models.Dense), trainer.Loss, trainer.Bridges);
        using var loss = new BridgeLoss(coupling);
        BridgeTerms terms = loss.Evaluate(_source.Random(9, 100)); // not the text it was fitted on
        Assert.All(terms.NmseDenseToSparse.Concat(terms.NmseSparseToDense), error => Assert.InRange(error, 0, 1e-6));
        Assert.All(terms.KlDenseToSparse.Concat(terms.KlSparseToDense), divergence => Assert.InRange(divergence, -1e-6, 1e-5));
    }

    [Fact]
    public void ErrorsHaveNoSlopeThere()
    {
        double[] random = Slopes(BridgeStart.Random);
        double[] fitted = Slopes(BridgeStart.LeastSquares);
        Assert.Equal(20, fitted.Length); // 5 locations, two maps of weight and bias
        for (int i = 0; i < fitted.Length; i++)
        {
            Assert.True(fitted[i] <= 1e-4 * random[i], $"parameter {i}: slope {fitted[i]}, {random[i]} at random");
        }
    }

    [Fact]
    public void ARidgeBelowRoundingIsRefused()
    {
        using ModelParameters dense = TinyModels.Random(_engine, TinyModels.Config, 5);
        foreach (string name in new[] { ParameterNames.Token, ParameterNames.Position })
        {
            // Two channels of the first residual are the same.
            float[] values = dense.Read(name);
            for (int i = 0; i < values.Length; i += TinyModels.Config.DModel)
            {
                values[i + 1] = values[i];
            }

            _engine.Write(dense[name].Value, values);
        }

        Fit(1e-4);
        Assert.Contains("start_ridge", Assert.Throws<BadInputException>(() => Fit(1e-300)).Message, StringComparison.Ordinal);

        void Fit(double ridge)
        {
            using var trainer = new BridgeTrainer(
                new Transformer(dense),
                TinyModels.Config,
                TinyModels.Training,
                OnlyErrors with
                {
                    StartRidge = ridge,
                    StartBatches = 2,
                }
            );
            trainer.Initialise();
            trainer.InitialiseFromData(_source);
        }
    }

    [Theory]
    [InlineData("start_batches", 0, 1e-4)]
    [InlineData("start_ridge", 1, 0.0)]
    public void SettingsOutOfRangeAreRefusedByName(string field, int batches, double ridge) =>
        Assert.Contains(
            field,
            Assert.Throws<BadInputException>(() => new BridgeConfig { StartBatches = batches, StartRidge = ridge }.Validated()).Message,
            StringComparison.Ordinal
        );

    /// <summary>Length of the error's gradient for each parameter of the bridges, on the text that they were fitted on.</summary>
    private double[] Slopes(BridgeStart start)
    {
        ModelConfig denseConfig = TinyModels.Config with { Afrac = null, DModel = 12, DMlpField = 24 };
        using ModelParameters dense = TinyModels.Random(_engine, denseConfig, 5);
        using ModelParameters sparse = TinyModels.Random(_engine, TinyModels.Config, 6);
        TrainingConfig training = (TinyModels.Training with { Density = null, Pfrac = null }).Resolved(TinyModels.Config);
        var transformer = new Transformer(dense);
        using var trainer = new BridgeTrainer(
            transformer,
            TinyModels.Config,
            training,
            OnlyErrors with
            {
                Start = start,
                StartBatches = 1,
                StartRidge = 1e-9,
            },
            sparse
        );
        trainer.Initialise();
        trainer.InitialiseFromData(_source);
        using var coupling = new Coupling(transformer, trainer.Loss, trainer.Bridges);
        using var loss = new BridgeLoss(coupling);
        using BackwardState gradients = trainer.Model.CreateBackwardState(Sequences, Tokens);
        loss.Evaluate(_source.Random(training.Seed, 0), gradients);
        using ScalarTensor slope = _engine.AllocateScalars("slope", 1);
        return [.. trainer.Bridges.All.Select(Slope)];

        double Slope(Parameter parameter)
        {
            _engine.RootMeanSquare(parameter.Gradient!, slope, 0);
            _engine.Fetch(slope);
            return slope[0];
        }
    }
}
