using System.Diagnostics;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>
/// The compilers of NVIDIA's and AMD's devices make machine code of every kernel, without a device (<c>build/kernel-resources.sh</c>). No
/// kernel may need more registers than a thread has: what does not fit goes to memory, in the innermost loops.
/// </summary>
public class DeviceCompilerTests
{
    [PtxasFact]
    public void NvidiaKernelsKeepTheirVariablesInRegisters() => RequireRegistersOnly("sm_80", "sm_90");

    [AmdCompilerFact]
    public void AmdKernelsKeepTheirVariablesInRegisters() => RequireRegistersOnly("gfx90a", "gfx942", "gfx1100");

    /// <summary>A kernel that does not compile and one that does not fit are both found.</summary>
    [AmdCompilerFact]
    public void WhatDoesNotFitOrCompileIsFound()
    {
        // 300 numbers of a thread that are all in use at once.
        string many = string.Join('\n', Enumerable.Range(0, 300).Select(i => $"float v{i} = x[{i}*n];"));
        string sum = string.Join('\n', Enumerable.Range(0, 300).Select(i => $"x[{i}] = v{299 - i} * v{(i * 7) % 300};"));
        string folder = Directory.CreateTempSubdirectory("kernels-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "opencl"));
            File.WriteAllText(
                Path.Combine(folder, "opencl", "Large.cl"),
                $"kernel void k(global volatile float* x, int n) {{\n{many}\n{sum}\n}}"
            );
            File.WriteAllText(Path.Combine(folder, "opencl", "Wrong.cl"), "kernel void k(global float* x) { x[0] = missing; }");
            (int code, string[][] lines) = Resources(folder, "gfx1100");
            Assert.Equal(1, code);
            Assert.Equal("does not compile", Assert.Single(lines, line => line[1] == "Wrong")[2]);
            Assert.True(int.Parse(Assert.Single(lines, line => line[1] == "Large")[3]) > 0);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void RequireRegistersOnly(params string[] targets)
    {
        string folder = Directory.CreateTempSubdirectory("kernels-").FullName;
        try
        {
            (int ptx, int openCl) = KernelSources.Write(folder);
            (int code, string[][] lines) = Resources(folder, targets);
            Assert.Equal(0, code);
            Assert.Equal(targets.Sum(target => target.StartsWith("sm_", StringComparison.Ordinal) ? ptx : openCl), lines.Length);
            Assert.Empty(lines.Where(line => line[3] != "0" || line[4] != "0").Select(line => string.Join(' ', line)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>For each kernel: target, name, registers, bytes of stack or scratch, spills, shared memory.</summary>
    private static (int ExitCode, string[][] Lines) Resources(string folder, params string[] targets)
    {
        string script = Path.Combine(OfficialFixture.RepositoryRoot(), "build", "kernel-resources.sh");
        using Process process = Process.Start(
            new ProcessStartInfo("bash", [script, folder, .. targets]) { RedirectStandardOutput = true }
        )!;
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        return (process.ExitCode, [.. lines.Select(line => line.Split('\t'))]);
    }
}

/// <summary>A test that runs NVIDIA's assembler; skipped by name where there is none.</summary>
public sealed class PtxasFactAttribute : FactAttribute
{
    public PtxasFactAttribute() =>
        Skip = CompilerPath.Has(Environment.GetEnvironmentVariable("SPARSITY_PTXAS") ?? "ptxas")
            ? null
            : "ptxas is neither named by SPARSITY_PTXAS nor on PATH (build/ptxas.sh brings one), or there is no bash.";
}

/// <summary>A test that compiles for AMD's devices; skipped by name where there is no compiler.</summary>
public sealed class AmdCompilerFactAttribute : FactAttribute
{
    public AmdCompilerFactAttribute() => Skip = CompilerPath.Has("clang-19") ? null : "clang-19 (Debian: clang-19) or bash is not on PATH.";
}

internal static class CompilerPath
{
    /// <summary>Whether a program, and the bash that calls it, is there.</summary>
    public static bool Has(string program) =>
        OnPath("bash") && (program.Contains('/', StringComparison.Ordinal) ? File.Exists(program) : OnPath(program));

    private static bool OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => File.Exists(Path.Combine(folder, program)));
}
