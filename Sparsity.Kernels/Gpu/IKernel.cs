using System.Numerics;
using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A kernel: its fields are the arguments, <see cref="Execute"/> is what each thread does. The portable subset only: no warp operations,
/// atomics, throw, try, Half, double, dynamic shared memory, or Math members that ILGPU cannot compile (docs/kernels.md). An argument that
/// is a struct and ends in an int stands last or before a view: ILGPU 1.5.3 takes kernels whose arguments have the same numbers one behind
/// the other for one type, and would pad as the first one does.
/// </summary>
internal interface IKernel
{
    void Execute();
}

/// <summary>The static method that ILGPU compiles, once per kernel.</summary>
internal static class KernelEntry
{
    public static void Run<TKernel>(TKernel kernel)
        where TKernel : struct, IKernel => kernel.Execute();
}

/// <summary>Reductions over a group whose size is a power of two; all threads must call them, and all get the result.</summary>
internal static class GroupReduction
{
    /// <summary>The largest group; shared arrays with an entry for each thread have this length.</summary>
    public const int MaximumThreads = 256;

    /// <param name="shared">An entry for each thread; free for other use afterwards.</param>
    public static T Sum<T>(T value, ArrayView<T> shared)
        where T : unmanaged, IAdditionOperators<T, T, T>
    {
        shared[Group.IdxX] = value;
        Group.Barrier();
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            if (Group.IdxX < half)
            {
                shared[Group.IdxX] += shared[Group.IdxX + half];
            }

            Group.Barrier();
        }

        T sum = shared[0];
        Group.Barrier();
        return sum;
    }

    /// <summary>Not what all get: the sum of the values of the threads before.</summary>
    /// <param name="shared">Two entries for each thread, so that a round needs one barrier; free for other use afterwards.</param>
    public static int SumOfThreadsBefore(int value, ArrayView<int> shared)
    {
        int read = Group.IdxX;
        int write = Group.IdxX + Group.DimX;
        shared[read] = value;
        Group.Barrier();
        int sum = value;
        for (int distance = 1; distance < Group.DimX; distance <<= 1)
        {
            sum += Group.IdxX >= distance ? shared[read - distance] : 0;
            shared[write] = sum;
            Group.Barrier();
            (read, write) = (write, read);
        }

        return sum - value;
    }

    /// <param name="shared">An entry for each thread; free for other use afterwards.</param>
    public static float Maximum(float value, ArrayView<float> shared)
    {
        shared[Group.IdxX] = value;
        Group.Barrier();
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            if (Group.IdxX < half && shared[Group.IdxX + half] > shared[Group.IdxX])
            {
                shared[Group.IdxX] = shared[Group.IdxX + half];
            }

            Group.Barrier();
        }

        float maximum = shared[0];
        Group.Barrier();
        return maximum;
    }
}
