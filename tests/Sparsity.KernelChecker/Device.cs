namespace ILGPU.Runtime
{
    internal enum AcceleratorType
    {
        CPU,
        Cuda,
        OpenCL,
    }

    /// <summary>The one device of the checker.</summary>
    internal sealed class Device
    {
        public AcceleratorType AcceleratorType => AcceleratorType.CPU;

        public string Name => "kernel checker";

        public long MemorySize => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

        public int WarpSize => 1;

        public int MaxNumThreadsPerGroup => 1024;

        public Accelerator CreateAccelerator(Context context) => new(this);
    }

    /// <summary>Runs kernels one after the other, each to its end before the launch returns.</summary>
    internal sealed class Accelerator(Device device) : IDisposable
    {
        private int _launchesWaitedFor;

        public Device Device { get; } = device;

        /// <summary>The order of threads for all launches; null for another one at each launch.</summary>
        public ThreadOrder? Order { get; set; }

        /// <summary>How often the host has waited for the device.</summary>
        public int HostWaits { get; private set; }

        /// <summary>What was handed to the device: kernels, copies and fills.</summary>
        public int Launches { get; internal set; }

        /// <summary>Whether the host has not waited since something was handed to the device: a real one may still be at it.</summary>
        public bool IsBusy => Launches != _launchesWaitedFor;

        /// <summary>The types of the kernels that were launched.</summary>
        public HashSet<Type> Kernels { get; } = [];

        /// <summary>Buffers made.</summary>
        public int Allocations { get; private set; }

        /// <summary>Whether kernels are counted but not run, for sizes at which checking them would take too long.</summary>
        public bool OnlyCounts { get; set; }

        /// <summary>Says of a kernel whether it is left out, as a fault that tests put in; null for none.</summary>
        public Func<Type, bool>? LeavesOut { get; set; }

        /// <summary>Host memory that a copy may still read from, with what it held when the copy was started.</summary>
        internal List<(nint Source, byte[] Values)> OnTheWay { get; } = [];

        public MemoryBuffer AllocateRaw(long length, int elementSize)
        {
            Allocations++;
            return new MemoryBuffer(length * elementSize, this);
        }

        public unsafe void Synchronize()
        {
            HostWaits++;
            _launchesWaitedFor = Launches;
            foreach ((nint source, byte[] values) in OnTheWay)
            {
                if (!new ReadOnlySpan<byte>((void*)source, values.Length).SequenceEqual(values))
                {
                    throw new InvalidOperationException(
                        $"{values.Length} bytes of host memory changed while a copy to the device was under way."
                    );
                }
            }

            OnTheWay.Clear();
        }

        public void Dispose() { }

        internal void Launch<T>(Action<T> kernel, KernelConfig config, T argument)
        {
            ThreadOrder order = Order ?? (ThreadOrder)(Launches % 3);
            Launches++;
            Kernels.Add(typeof(T));
            if (OnlyCounts || LeavesOut?.Invoke(typeof(T)) == true)
            {
                return;
            }

            GroupRun.Grid(() => kernel(argument), argument?.GetType().Name ?? kernel.Method.Name, config, order);
        }
    }

    internal static class KernelLoaders
    {
        public static Action<KernelConfig, T> LoadStreamKernel<T>(this Accelerator accelerator, Action<T> kernel)
            where T : struct => (config, argument) => accelerator.Launch(kernel, config, argument);
    }
}

namespace ILGPU
{
    internal readonly record struct KernelConfig(int GridDimX, int GridDimY, int GridDimZ, int GroupDimX, int GroupDimY, int GroupDimZ);
}
