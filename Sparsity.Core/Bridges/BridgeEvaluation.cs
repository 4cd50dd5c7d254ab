using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>One hybrid pass: what a model makes of a residual that came over a bridge. Means over the evaluation tokens.</summary>
/// <param name="Nmse">Normalised mean squared error of the residual that came over.</param>
/// <param name="Kl">KL(dense || hybrid) in nats.</param>
/// <param name="Loss">Next-token cross-entropy in nats.</param>
/// <param name="AblatedLoss">The same with the residual replaced by the receiving model's mean residual at that place.</param>
/// <param name="Recovered">(ablated loss - loss) / (ablated loss - dense loss): 1 where nothing of the dense model's loss is lost, 0 where
/// the bridge is no better than the mean.</param>
internal sealed record HybridResult(double Nmse, double Kl, double Loss, double AblatedLoss, double Recovered);

/// <summary>Both directions at one place.</summary>
/// <param name="Location">The residual's site, such as 0.resid_mid.</param>
/// <param name="DenseToSparse">The sparse model from an encoded dense residual on.</param>
/// <param name="SparseToDense">The dense model from a decoded sparse residual on.</param>
internal sealed record BridgeLocation(string Location, HybridResult DenseToSparse, HybridResult SparseToDense);

/// <summary>How well bridges connect two models; losses in nats.</summary>
/// <param name="Tokens">Evaluation tokens.</param>
/// <param name="KlSparse">KL(dense || sparse).</param>
internal sealed record BridgeEvaluation(
    long Tokens,
    double DenseLoss,
    double SparseLoss,
    double KlSparse,
    IReadOnlyList<BridgeLocation> Locations
)
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>Mean over all hybrids, both directions.</summary>
    public double MeanNmse => Mean(hybrid => hybrid.Nmse);

    /// <inheritdoc cref="MeanNmse"/>
    public double MeanKl => Mean(hybrid => hybrid.Kl);

    /// <inheritdoc cref="MeanNmse"/>
    public double MeanRecovered => Mean(hybrid => hybrid.Recovered);

    /// <summary>Measures all hybrids on the first <paramref name="batches"/> batches of consecutive windows.</summary>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public static BridgeEvaluation Measure(
        Transformer dense,
        Transformer sparse,
        BridgePairs bridges,
        BatchSource source,
        int batches,
        int sequences,
        int contextTokens,
        CancellationToken stop = default
    )
    {
        using var plain = new LanguageModelLoss(sparse, sequences, contextTokens);
        using var coupling = new Coupling(dense, plain, bridges);
        using var loss = new BridgeLoss(coupling);
        int locations = bridges.Locations;
        (double[][] sparseMeans, double[][] denseMeans) = MeanResiduals(coupling, source, batches);
        using var sparseAblation = new Ablation(bridges.Engine, sequences, contextTokens, sparse.Config.DModel);
        using var denseAblation = new Ablation(bridges.Engine, sequences, contextTokens, dense.Config.DModel);
        var sums = new double[locations, 2, 4];
        double denseLoss = 0,
            sparseLoss = 0,
            klSparse = 0;
        for (int batch = 0; batch < batches; batch++)
        {
            stop.ThrowIfCancellationRequested();
            BridgeTerms terms = loss.Evaluate(source.Consecutive(batch));
            denseLoss += terms.DenseCrossEntropy / batches;
            sparseLoss += terms.CrossEntropy / batches;
            klSparse += terms.KlSparse / batches;
            for (int location = 0; location < locations; location++)
            {
                coupling.Encode(location);
                double encoded = LossFrom(coupling.IntoSparse, location);
                sparseAblation.Put(sparseMeans[location], coupling.IntoSparse.Residual(location));
                Add(
                    location,
                    0,
                    terms.NmseDenseToSparse[location],
                    terms.KlDenseToSparse[location],
                    encoded,
                    LossFrom(coupling.IntoSparse, location)
                );
                coupling.Decode(location);
                double decoded = LossFrom(coupling.IntoDense, location);
                denseAblation.Put(denseMeans[location], coupling.IntoDense.Residual(location));
                Add(
                    location,
                    1,
                    terms.NmseSparseToDense[location],
                    terms.KlSparseToDense[location],
                    decoded,
                    LossFrom(coupling.IntoDense, location)
                );
            }
        }

        return new BridgeEvaluation(
            (long)batches * sequences * contextTokens,
            denseLoss,
            sparseLoss,
            klSparse,
            [
                .. Enumerable
                    .Range(0, locations)
                    .Select(location => new BridgeLocation(
                        Transformer.SiteOfResidual(sparse.Config, location).Name,
                        Result(location, 0),
                        Result(location, 1)
                    )),
            ]
        );

        void Add(int location, int direction, params ReadOnlySpan<double> values)
        {
            for (int i = 0; i < values.Length; i++)
            {
                sums[location, direction, i] += values[i] / batches;
            }
        }

        HybridResult Result(int location, int direction)
        {
            double ablated = sums[location, direction, 3];
            double hybrid = sums[location, direction, 2];
            return new HybridResult(
                sums[location, direction, 0],
                sums[location, direction, 1],
                hybrid,
                ablated,
                (ablated - hybrid) / (ablated - denseLoss)
            );
        }
    }

    private static double LossFrom(HybridPass pass, int location)
    {
        pass.Run(location);
        return pass.CrossEntropy();
    }

    private static (double[][] Sparse, double[][] Dense) MeanResiduals(Coupling coupling, BatchSource source, int batches)
    {
        IComputeEngine engine = coupling.Bridges.Engine;
        double[][] sparse =
        [
            .. Enumerable.Range(0, coupling.Bridges.Locations).Select(_ => new double[coupling.Sparse.Model.Config.DModel]),
        ];
        double[][] dense = [.. sparse.Select(_ => new double[coupling.Dense.Model.Config.DModel])];
        for (int batch = 0; batch < batches; batch++)
        {
            coupling.Load(source.Consecutive(batch));
            for (int location = 0; location < sparse.Length; location++)
            {
                engine.ChannelSums(coupling.Sparse.Forward.Residuals[location], sparse[location]);
                engine.ChannelSums(coupling.Dense.Forward.Residuals[location], dense[location]);
            }
        }

        double count = (double)batches * coupling.Sparse.Sequences * coupling.Sparse.ContextTokens;
        foreach (double[] sums in sparse.Concat(dense))
        {
            for (int channel = 0; channel < sums.Length; channel++)
            {
                sums[channel] /= count;
            }
        }

        return (sparse, dense);
    }

    private double Mean(Func<HybridResult, double> value) =>
        Locations.Average(location => (value(location.DenseToSparse) + value(location.SparseToDense)) / 2);

    /// <summary>Writes one vector to every token: a linear layer that is all bias.</summary>
    private sealed class Ablation(IComputeEngine engine, int sequences, int tokens, int channels) : IDisposable
    {
        private readonly ActivationTensor _nothing = engine.AllocateActivations("nothing", sequences, tokens, 1);
        private readonly WeightTensor _weight = engine.AllocateWeights("no weight", channels, 1);
        private readonly WeightTensor _mean = engine.AllocateWeights("mean residual", 1, channels);

        public void Put(double[] mean, ActivationTensor residual)
        {
            engine.Write(_mean, [.. mean.Select(value => (float)value)]);
            engine.LinearForward(_nothing, _weight, _mean, residual);
        }

        public void Dispose()
        {
            _nothing.Dispose();
            _weight.Dispose();
            _mean.Dispose();
        }
    }
}
