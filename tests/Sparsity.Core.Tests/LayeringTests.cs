namespace Sparsity.Core.Tests;

public class LayeringTests
{
    [Fact]
    public void CoreRefersToNoEngineAndNoGpuLibrary()
    {
        string[] references = [.. typeof(BadInputException).Assembly.GetReferencedAssemblies().Select(name => name.Name!)];

        Assert.DoesNotContain(references, name => name.StartsWith("ILGPU", StringComparison.Ordinal) || name.StartsWith("Sparsity.", StringComparison.Ordinal));
    }
}
