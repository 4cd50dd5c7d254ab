namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A launch that is put off until anything else is handed to the device (<see cref="GpuDevice.Hold"/>). The operation that comes next may
/// take it on and do both in one launch; nothing can come between them.
/// </summary>
internal interface IHeldLaunch
{
    void Launch(GpuDevice device);
}
