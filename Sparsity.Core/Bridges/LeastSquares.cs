using System.Globalization;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Gives every map the weights and bias with which its squared error on some text is least: ridge regression of one model's residual on the
/// other's. Encoders are fitted without their AbsTopK.
/// </summary>
internal static class LeastSquares
{
    /// <summary>Overwrites all bridges; leaves their gradients at zero, which is how it finds them.</summary>
    /// <param name="coupling">The two models.</param>
    /// <param name="source">The text.</param>
    /// <param name="seed">Chooses its windows, those that training begins with.</param>
    /// <exception cref="BadInputException">The ridge is too small.</exception>
    public static void Fit(Coupling coupling, BatchSource source, ulong seed)
    {
        BridgePairs bridges = coupling.Bridges;
        IComputeEngine engine = bridges.Engine;
        using var dense = new Residuals(coupling.Dense, bridges);
        using var sparse = new Residuals(coupling.Sparse, bridges);
        for (int batch = 0; batch < bridges.Config.StartBatches; batch++)
        {
            // Where a batch has parts, rank 0 takes all of them: the others get the finished maps.
            foreach (int[] part in source.Random(seed, batch).ToArray().Chunk(coupling.Sparse.Sequences * coupling.Sparse.ContextTokens))
            {
                coupling.Load(part);
                for (int location = 0; location < bridges.Locations; location++)
                {
                    dense.Take(location);
                    sparse.Take(location);

                    // A gradient that accumulates is the sum over tokens of products of outputs and inputs, with that of outputs beside.
                    bridges.Encoders[location].BackwardWeight(engine, dense.Taken, sparse.Taken);
                    bridges.Decoders[location].BackwardWeight(engine, sparse.Taken, dense.Taken);
                }
            }
        }

        long tokens = (long)bridges.Config.StartBatches * coupling.Sparse.Parts * coupling.Sparse.Sequences * coupling.Sparse.ContextTokens;
        for (int location = 0; location < bridges.Locations; location++)
        {
            Solve(engine, bridges.Encoders[location], dense, location, tokens, bridges.Config.StartRidge);
            Solve(engine, bridges.Decoders[location], sparse, location, tokens, bridges.Config.StartRidge);
        }
    }

    /// <summary>
    /// W = C (A + ridge * mean of A's diagonal)^-1 with A the inputs' covariance and C that of targets with inputs; the bias joins the
    /// means.
    /// </summary>
    private static void Solve(IComputeEngine engine, BridgeMap map, Residuals inputs, int location, long tokens, double ridge)
    {
        (int outputs, int width) = (map.Weight.Spec.Rows, map.Weight.Spec.Columns);
        (float[] square, float[] inputSums) = inputs.Products(location);
        var cross = new float[outputs * width];
        var targetSums = new float[outputs];
        engine.Read(map.Weight.Gradient!, cross);
        engine.Read(map.Bias.Gradient!, targetSums);
        engine.Zero(map.Weight.Gradient!);
        engine.Zero(map.Bias.Gradient!);

        var covariance = new double[width][];
        double trace = 0;
        for (int i = 0; i < width; i++)
        {
            covariance[i] =
            [
                .. Enumerable.Range(0, i + 1).Select(j => square[(i * width) + j] - ((double)inputSums[i] * inputSums[j] / tokens)),
            ];
            trace += covariance[i][i];
        }

        if (!(trace > 0))
        {
            return; // one model's residual is the same at every token: nothing to fit
        }

        for (int i = 0; i < width; i++)
        {
            covariance[i][i] += ridge * trace / width;
        }

        if (!TryFactorise(covariance))
        {
            throw new BadInputException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"bridge configuration: start_ridge is {ridge}, too small for the rounding of a residual whose channels depend on "
                        + $"one another ({map.Weight.Spec.Name}). Raise it, or set start to random."
                )
            );
        }

        var weights = new float[outputs * width];
        var bias = new float[outputs];
        for (int output = 0; output < outputs; output++)
        {
            double[] row =
            [
                .. Enumerable
                    .Range(0, width)
                    .Select(i => cross[(output * width) + i] - ((double)targetSums[output] * inputSums[i] / tokens)),
            ];
            SolveInPlace(covariance, row);
            double constant = targetSums[output] / (double)tokens;
            for (int i = 0; i < width; i++)
            {
                weights[(output * width) + i] = (float)row[i];
                constant -= row[i] * inputSums[i] / tokens;
            }

            bias[output] = (float)constant;
        }

        engine.Write(map.Weight.Value, weights);
        engine.Write(map.Bias.Value, bias);
    }

    /// <summary>
    /// Cholesky: turns the lower triangle of a positive definite matrix into L with L L^T = A; false where it is not positive definite, as
    /// far as can be told.
    /// </summary>
    private static bool TryFactorise(double[][] lower)
    {
        const double LeastShare = 1e-12; // of the diagonal: below it is rounding
        for (int i = 0; i < lower.Length; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = lower[i][j];
                for (int k = 0; k < j; k++)
                {
                    sum -= lower[i][k] * lower[j][k];
                }

                if (i == j && !(sum > LeastShare * lower[i][i]))
                {
                    return false;
                }

                lower[i][j] = i == j ? Math.Sqrt(sum) : sum / lower[j][j];
            }
        }

        return true;
    }

    /// <summary>Turns b into the x of L L^T x = b.</summary>
    private static void SolveInPlace(double[][] lower, double[] x)
    {
        for (int i = 0; i < x.Length; i++)
        {
            for (int k = 0; k < i; k++)
            {
                x[i] -= lower[i][k] * x[k];
            }

            x[i] /= lower[i][i];
        }

        for (int i = x.Length - 1; i >= 0; i--)
        {
            x[i] /= lower[i][i];
            for (int k = 0; k < i; k++)
            {
                x[k] -= lower[i][k] * x[i];
            }
        }
    }

    /// <summary>
    /// One model's residual [B,T,D] at a location, and for each location the sums over all tokens so far of its channels [D] and of their
    /// products [D,D].
    /// </summary>
    private sealed class Residuals : IDisposable
    {
        private readonly IComputeEngine _engine;
        private readonly ForwardState _forward;
        private readonly WeightTensor[] _squares;
        private readonly WeightTensor[] _sums;

        public Residuals(LanguageModelLoss model, BridgePairs bridges)
        {
            _engine = bridges.Engine;
            _forward = model.Forward;
            int channels = model.Model.Config.DModel;
            Taken = _engine.AllocateActivations("residual to fit", model.Sequences, model.ContextTokens, channels);
            _squares =
            [
                .. Enumerable
                    .Range(0, bridges.Locations)
                    .Select(i => _engine.AllocateWeights($"products of residual {i}", channels, channels)),
            ];
            _sums = [.. Enumerable.Range(0, bridges.Locations).Select(i => _engine.AllocateWeights($"sums of residual {i}", 1, channels))];
        }

        /// <summary>The residual last taken: a copy, which may stand for a gradient.</summary>
        public ActivationTensor Taken { get; }

        public void Take(int location)
        {
            _engine.Copy(_forward.Residuals[location], Taken);
            _engine.LinearBackwardWeight(Taken, Taken, _squares[location]);
            _engine.LinearBackwardBias(Taken, _sums[location]);
        }

        public (float[] Square, float[] Sums) Products(int location)
        {
            var square = new float[_squares[location].Length];
            var sums = new float[_sums[location].Length];
            _engine.Read(_squares[location], square);
            _engine.Read(_sums[location], sums);
            return (square, sums);
        }

        public void Dispose()
        {
            Taken.Dispose();
            foreach (WeightTensor tensor in _squares.Concat(_sums))
            {
                tensor.Dispose();
            }
        }
    }
}
