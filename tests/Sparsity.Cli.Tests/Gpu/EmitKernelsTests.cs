namespace Sparsity.Cli.Tests.Gpu;

/// <summary>devices --emit writes what the compilers of devices are given; no device is needed.</summary>
public sealed class EmitKernelsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("emit-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void EveryKernelIsWrittenForEveryTarget()
    {
        string folder = Path.Combine(_folder, "kernels");
        string output = CommandLine.Succeed("devices", "--emit", folder);
        string[] names = NamesIn("opencl", ".cl");
        Assert.Contains("WideAttention.ForwardKernel", names);
        Assert.Contains($"and {names.Length} of them as OpenCL C", output, StringComparison.Ordinal);
        foreach (string architecture in new[] { "sm_80", "sm_90" })
        {
            string[] ptx = NamesIn(architecture, ".ptx");
            Assert.Contains($"{ptx.Length} kernels as PTX", output, StringComparison.Ordinal);
            Assert.Equal(names, ptx.Where(name => !name.EndsWith("-TensorCores", StringComparison.Ordinal)));
            Assert.Contains(
                ".target sm_80",
                File.ReadAllText(Path.Combine(folder, architecture, "DenseProduct.Kernel-ForwardForm-LoadAtOnce.ptx")),
                StringComparison.Ordinal
            );
        }

        string[] NamesIn(string target, string extension) =>
            [
                .. Directory
                    .GetFiles(Path.Combine(folder, target))
                    .Select(file => Path.GetFileName(file)[..^extension.Length])
                    .Order(StringComparer.Ordinal),
            ];
    }

    [Fact]
    public void EmitAndCheckExcludeEachOther() =>
        CommandLine.Refuse("--emit writes kernels and --check runs them", "devices", "--emit", _folder, "--check");
}
