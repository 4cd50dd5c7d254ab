using ILGPU;
using ILGPU.Runtime;

namespace Sparsity.Kernels.Gpu;

/// <summary>A run of zeroed device memory.</summary>
/// <param name="buffer">Null on a device that only counts.</param>
internal sealed class DeviceMemory<T>(GpuDevice device, MemoryBuffer? buffer, long length, long bytes) : IDisposable
    where T : unmanaged
{
    private bool _isFree;

    public ArrayView<T> View { get; } = new(buffer!, 0, length);

    public void Dispose()
    {
        if (!_isFree)
        {
            _isFree = true;
            device.Free(buffer, bytes);
        }
    }
}
