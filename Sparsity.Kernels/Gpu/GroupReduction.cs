using System.Numerics;
using ILGPU;

namespace Sparsity.Kernels.Gpu;

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
