using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Sums of many numbers in two floats each: a group sums a run of them, and a last group the runs, in order.</summary>
internal static class ScalarSums
{
    public const int EntriesOfGroupBits = 14;
    public const int EntriesOfGroup = 1 << EntriesOfGroupBits;

    /// <summary>Overwrites a number of sums with the sum of values [B,T,1].</summary>
    public static void Sum(GpuDevice device, GpuActivations values, GpuScalars sums, int index)
    {
        int groups = GroupsOf(values.Rows);
        ArrayView<float> partial = device.Workspace<float>("reduction", GpuScalars.Parts * groups);
        device.Launch(
            groups,
            1,
            device.RowThreads(Math.Min(values.Rows, EntriesOfGroup)),
            new SumKernel(values.View, values.Stride, values.Rows, partial)
        );
        AddRuns(device, partial, groups, sums.Overwritten(index));
    }

    /// <summary>Runs that so many entries are cut into.</summary>
    public static int GroupsOf(int entries) => (entries + EntriesOfGroup - 1) / EntriesOfGroup;

    /// <summary>Overwrites a number with the sum of the runs' [groups, 6].</summary>
    public static void AddRuns(GpuDevice device, ArrayView<float> partial, int groups, ArrayView<float> total) =>
        device.Launch(1, 1, device.RowThreads(groups), new TotalKernel(partial, groups, total));

    internal readonly struct SumKernel(ArrayView<float> values, int stride, int rows, ArrayView<float> partial) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < rows ? first + EntriesOfGroup : rows;
            PreciseSum sum = default;
            for (int row = first + Group.IdxX; row < end; row += Group.DimX)
            {
                PreciseSum.Add(ref sum, values[row * stride]);
            }

            PreciseSum none = default;
            int at = Grid.IdxX * GpuScalars.Parts;
            PreciseSum.OfGroup(sum, shared).Store(partial, at);
            none.Store(partial, at + 2);
            none.Store(partial, at + 4);
        }
    }

    /// <summary>One group.</summary>
    internal readonly struct TotalKernel(ArrayView<float> partial, int groups, ArrayView<float> total) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            for (int part = 0; part < GpuScalars.Parts; part += 2)
            {
                PreciseSum sum = default;
                for (int group = Group.IdxX; group < groups; group += Group.DimX)
                {
                    PreciseSum.Add(ref sum, partial[(group * GpuScalars.Parts) + part]);
                    PreciseSum.Add(ref sum, partial[(group * GpuScalars.Parts) + part + 1]);
                }

                PreciseSum.OfGroup(sum, shared).Store(total, part);
            }
        }
    }
}
