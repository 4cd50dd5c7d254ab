using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>Sums over all tokens, one per channel: in a fixed order, whatever the number of threads.</summary>
internal static unsafe class ChannelReduction
{
    /// <summary>Accumulates the sum over tokens of gradient [B,T,C] (zero in padding lanes) into target [C].</summary>
    public static void AccumulateSums(WorkerPool pool, CpuActivations gradient, float* target) =>
        pool.Run(gradient.Channels, new SumJob(gradient, target));

    /// <summary>Adds the sum over real tokens of input [B,T,C], in double, to sums [C].</summary>
    public static void AddChannelSums(WorkerPool pool, CpuActivations input, Span<double> sums)
    {
        fixed (double* target = sums)
        {
            pool.Run(input.Channels, new DoubleSumJob(input, target));
        }
    }

    private readonly struct SumJob(CpuActivations gradient, float* target) : IParallelJob
    {
        public void Execute(int channel, int worker)
        {
            Vector512<float> sum = default;
            for (int tile = 0; tile < gradient.Tiles; tile++)
            {
                float* lanes = gradient.Lanes(tile, channel);
                for (int lane = 0; lane < gradient.Width; lane += CpuActivations.VectorLanes)
                {
                    sum += Vector512.Load(lanes + lane);
                }
            }

            target[channel] += Vector512.Sum(sum);
        }
    }

    private readonly struct DoubleSumJob(CpuActivations input, double* target) : IParallelJob
    {
        public void Execute(int channel, int worker)
        {
            double sum = 0;
            for (int tile = 0; tile < input.Tiles; tile++)
            {
                float* lanes = input.Lanes(tile, channel);
                int valid = input.ValidLanes(tile);
                for (int lane = 0; lane < valid; lane++)
                {
                    sum += lanes[lane];
                }
            }

            target[channel] += sum;
        }
    }
}
