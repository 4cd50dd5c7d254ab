using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests;

public class GpuLibraryTests
{
    [Fact]
    public void DescriptionNamesTheLibraryCompiledIn()
    {
        bool refersToIlgpu = typeof(GpuLibrary).Assembly.GetReferencedAssemblies().Any(name => name.Name == "ILGPU");

        Assert.Equal(refersToIlgpu, GpuLibrary.IsReal);
        Assert.Equal(refersToIlgpu ? "ILGPU 1.5.3" : "in-tree stand-in (built without ILGPU)", GpuLibrary.Description);
    }
}
