extern alias checker;

using checker::ILGPU;
using checker::ILGPU.Runtime;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>The checker's checks find what they are for, in small kernels with one fault each.</summary>
public sealed class GroupRunTests : IDisposable
{
    private const int Threads = 8;
    private readonly Context _context = Context.Create(builder => builder.Optimize(OptimizationLevel.O2));
    private readonly Accelerator _accelerator;
    private readonly MemoryBuffer _buffer;
    private readonly ArrayView<float> _values;

    public GroupRunTests()
    {
        _accelerator = _context.Devices[0].CreateAccelerator(_context);
        _buffer = _accelerator.AllocateRaw(2 * Threads, sizeof(float));
        _values = new ArrayView<float>(_buffer, 0, 2 * Threads);
    }

    private static readonly string[] OrderNames = Enum.GetNames<ThreadOrder>();

    public static TheoryData<string> Orders => [.. OrderNames];

    [Theory]
    [MemberData(nameof(Orders))]
    public void CorrectKernelGivesTheSameInEveryOrder(string order)
    {
        float[] results = Run(Reversed, 2, order);
        Assert.Equal([7, 6, 5, 4, 3, 2, 1, 0, 107, 106, 105, 104, 103, 102, 101, 100], results);
    }

    [Fact]
    public void MissingBarrierChangesTheResultWithTheOrder()
    {
        float[] expected = Run(Reversed, 2, nameof(ThreadOrder.Forward));
        Assert.Contains(OrderNames, order => !Run(ReversedWithoutBarrier, 2, order).SequenceEqual(expected));
    }

    [Fact]
    public void WriteThatOthersStillReadChangesTheResultWithTheOrder()
    {
        string[] results = [.. OrderNames.Select(order => string.Join(' ', Run(SummedWithoutSecondBarrier, 1, order)))];
        Assert.True(results.Distinct().Count() > 1, results[0]);
    }

    [Fact]
    public void SharedMemoryThatNobodyWroteIsNotANumber()
    {
        Assert.All(Run(UnwrittenShared, 2, nameof(ThreadOrder.Forward)), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void FreshDeviceMemoryIsNotANumber()
    {
        var values = new float[2 * Threads];
        _values.CopyToCPU(values.AsSpan());
        Assert.All(values, value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void HostMemoryThatChangesWhileItIsCopiedIsAnError()
    {
        using PageLockedArray1D<float> source = _accelerator.AllocatePageLocked1D<float>(Threads, true);
        source.Span.Fill(1);
        _values.CopyFromCPUUnsafeAsync(ref source.Span[0], Threads);
        _accelerator.Synchronize();
        source.Span[3] = 2;
        _values.CopyFromCPUUnsafeAsync(ref source.Span[0], Threads);
        source.Span[3] = 1;
        var failure = Assert.Throws<InvalidOperationException>(_accelerator.Synchronize);
        Assert.Contains("32 bytes of host memory changed", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(2 * Threads)]
    [InlineData(int.MinValue)]
    public void ReadOutsideAViewNamesIndexLengthKernelAndThread(int index)
    {
        var failure = Assert.Throws<IndexOutOfRangeException>(() => Launch(new Outside(_values, index), 1, Threads));
        Assert.Equal($"Index {index} is outside a view of 16 elements in Outside, group (0, 0), thread 3 of 8.", failure.Message);
    }

    [Fact]
    public void BarrierThatSomeThreadsMissIsAnError()
    {
        var failure = Assert.Throws<InvalidOperationException>(() => Launch(new Diverging(_values), 1, Threads));
        Assert.Contains(
            "Divergent barrier in Diverging, group (0, 0): of 8 threads, 3 ended and 5 wait",
            failure.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TwoDifferentBarriersAtOnceAreAnError()
    {
        var failure = Assert.Throws<InvalidOperationException>(() => Launch(new TwoBarriers(_values), 1, Threads));
        Assert.Contains("0 ended and 4 wait at line", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MemoryThatAKernelMayBeUsingIsNotFreed()
    {
        Launch(new Reversing(_values), 1, Threads);
        Assert.Throws<InvalidOperationException>(_buffer.Dispose);
        _accelerator.Synchronize();
        _buffer.Dispose();
    }

    [Fact]
    public void FreedMemoryIsNotUsed()
    {
        _buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Launch(new Reversing(_values), 1, Threads));
    }

    [Fact]
    public void FailureInOneLaunchLeavesTheNextIntact()
    {
        Assert.Throws<InvalidOperationException>(() => Launch(new Diverging(_values), 1, Threads));
        Assert.Equal(7, Run(Reversed, 2, nameof(ThreadOrder.Shuffled))[0]);
    }

    public void Dispose()
    {
        _accelerator.OnTheWay.Clear();
        _accelerator.Synchronize();
        _buffer.Dispose();
        _accelerator.Dispose();
        _context.Dispose();
    }

    private static void Reversed(ArrayView<float> values)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Threads);
        shared[Group.IdxX] = Group.IdxX + (100 * Grid.IdxX);
        Group.Barrier();
        values[(Grid.IdxX * Threads) + Group.IdxX] = shared[Threads - 1 - Group.IdxX];
    }

    private static void ReversedWithoutBarrier(ArrayView<float> values)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Threads);
        shared[Group.IdxX] = Group.IdxX + (100 * Grid.IdxX);
        values[(Grid.IdxX * Threads) + Group.IdxX] = shared[Threads - 1 - Group.IdxX];
    }

    /// <summary>Adds up a neighbour's value twice; between the rounds a barrier is missing.</summary>
    private static void SummedWithoutSecondBarrier(ArrayView<float> values)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Threads);
        shared[Group.IdxX] = Group.IdxX;
        Group.Barrier();
        float sum = shared[(Group.IdxX + 1) % Threads];
        shared[Group.IdxX] = 10 * sum;
        Group.Barrier();
        values[Group.IdxX] = sum + shared[Group.IdxX];
        values[Threads + Group.IdxX] = 0;
    }

    private static void UnwrittenShared(ArrayView<float> values) =>
        values[(Grid.IdxX * Threads) + Group.IdxX] = SharedMemory.Allocate<float>(Threads)[Group.IdxX];

    private static void Run<T>(T kernel)
        where T : struct, IFault => kernel.Execute();

    private float[] Run(Action<ArrayView<float>> kernel, int groups, string order)
    {
        _accelerator.Order = Enum.Parse<ThreadOrder>(order);
        _accelerator.LoadStreamKernel(kernel)(new KernelConfig(groups, 1, 1, Threads, 1, 1), _values);
        var results = new float[2 * Threads];
        _values.CopyToCPU(results.AsSpan());
        return results;
    }

    private void Launch<T>(T kernel, int groups, int threads)
        where T : struct, IFault
    {
        _accelerator.Order = ThreadOrder.Forward;
        _accelerator.LoadStreamKernel<T>(Run)(new KernelConfig(groups, 1, 1, threads, 1, 1), kernel);
    }

    private interface IFault
    {
        void Execute();
    }

    private readonly struct Reversing(ArrayView<float> values) : IFault
    {
        public void Execute() => Reversed(values);
    }

    private readonly struct Outside(ArrayView<float> values, int index) : IFault
    {
        public void Execute()
        {
            values[Group.IdxX] = Group.IdxX == 3 ? values[index] : 0f;
            Group.Barrier();
        }
    }

    private readonly struct Diverging(ArrayView<float> values) : IFault
    {
        public void Execute()
        {
            values[Group.IdxX] = 1f;
            if (Group.IdxX >= 3)
            {
                Group.Barrier();
            }
        }
    }

    private readonly struct TwoBarriers(ArrayView<float> values) : IFault
    {
        public void Execute()
        {
            if (Group.IdxX % 2 == 0)
            {
                values[Group.IdxX] = 1f;
                Group.Barrier();
            }
            else
            {
                values[Group.IdxX] = 2f;
                Group.Barrier();
            }
        }
    }
}
