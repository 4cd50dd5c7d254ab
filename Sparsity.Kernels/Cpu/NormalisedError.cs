using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// The normalised mean squared error of a prediction [B,T,C] (docs/method.md section 5): sum (x - t)^2 / sum t^2. Backward, with the
/// denominator P taken as a constant: dx = 2 (x - t) / P, dt = -dx.
/// </summary>
internal static unsafe class NormalisedError
{
    /// <summary>
    /// Overwrites sums with sum (x - t)^2 and sum t^2: in double, channel by channel, so that the number of threads does not matter.
    /// </summary>
    public static void Forward(WorkerPool pool, CpuActivations prediction, CpuActivations target, Span<double> sums)
    {
        var partial = (double*)pool.Shared(4 * target.Channels);
        pool.Run(target.Channels, new SumJob(prediction, target, partial));
        double error = 0;
        double square = 0;
        for (int channel = 0; channel < target.Channels; channel++)
        {
            error += partial[2 * channel];
            square += partial[(2 * channel) + 1];
        }

        sums[0] = (float)error;
        sums[1] = (float)square;
    }

    /// <summary>Accumulates into predictionGradient and targetGradient [B,T,C], where given.</summary>
    public static void Backward(
        WorkerPool pool,
        CpuActivations prediction,
        CpuActivations target,
        float squares,
        float gradientScale,
        CpuActivations? predictionGradient,
        CpuActivations? targetGradient
    ) => pool.Run(target.Tiles, new BackwardJob(prediction, target, 2 * gradientScale / squares, predictionGradient, targetGradient));

    private readonly struct SumJob(CpuActivations prediction, CpuActivations target, double* partial) : IParallelJob
    {
        public void Execute(int channel, int worker)
        {
            Vector512<double> error = default;
            Vector512<double> square = default;
            for (int tile = 0; tile < target.Tiles; tile++)
            {
                int valid = target.ValidLanes(tile);
                float* x = prediction.Lanes(tile, channel);
                float* t = target.Lanes(tile, channel);
                for (int lane = 0; lane < target.Width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> mask = CpuActivations.ValidMask(lane, valid);
                    Vector512<float> wanted = Vector512.Load(t + lane) & mask;
                    Vector512<float> difference = (Vector512.Load(x + lane) & mask) - wanted;
                    error = AddSquares(error, difference);
                    square = AddSquares(square, wanted);
                }
            }

            partial[2 * channel] = Vector512.Sum(error);
            partial[(2 * channel) + 1] = Vector512.Sum(square);
        }

        private static Vector512<double> AddSquares(Vector512<double> sum, Vector512<float> values)
        {
            Vector512<double> low = Vector512.WidenLower(values);
            Vector512<double> high = Vector512.WidenUpper(values);
            return sum + (low * low) + (high * high);
        }
    }

    private readonly struct BackwardJob(
        CpuActivations prediction,
        CpuActivations target,
        float factor,
        CpuActivations? predictionGradient,
        CpuActivations? targetGradient
    ) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int valid = target.ValidLanes(tile);
            for (int channel = 0; channel < target.Channels; channel++)
            {
                for (int lane = 0; lane < target.Width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> difference =
                        Vector512.Load(prediction.Lanes(tile, channel) + lane) - Vector512.Load(target.Lanes(tile, channel) + lane);
                    Vector512<float> gradient = difference * Vector512.Create(factor) & CpuActivations.ValidMask(lane, valid);
                    if (predictionGradient is not null)
                    {
                        float* x = predictionGradient.Lanes(tile, channel) + lane;
                        (Vector512.Load(x) + gradient).Store(x);
                    }

                    if (targetGradient is not null)
                    {
                        float* t = targetGradient.Lanes(tile, channel) + lane;
                        (Vector512.Load(t) - gradient).Store(t);
                    }
                }
            }
        }
    }
}
