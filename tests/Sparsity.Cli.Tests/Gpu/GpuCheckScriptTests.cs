using System.Diagnostics;
using Sparsity.Cli.Tests.Mpi;

namespace Sparsity.Cli.Tests.Gpu;

/// <summary>build/gpu-check/check.sh beside a stand-in for the program: what it refuses, keeps and says.</summary>
public sealed class GpuCheckScriptTests : IDisposable
{
    /// <summary>Answers as the program does; the variables FAKE_* say what goes wrong.</summary>
    private const string Program = """
        #!/usr/bin/env bash
        json=
        for argument in "$@"; do [ "$previous" = --json ] && json=$argument; previous=$argument; done
        case "$*" in
          "devices --device wrong") echo "sparsity: --device is 'wrong'" >&2; exit 2 ;;
          "devices --device"*) echo "${FAKE_AUTO:-auto takes cuda:0}" ;;
          "devices --check"*)
            printf '{\n  "verdict": "",\n  "items": [\n    {\n      "ok": true,\n    }\n  ]\n}\n' > "$json"
            [ -n "$FAKE_HANGS" ] && { echo hanging; sleep 60; }
            printf '{\n  "verdict": "all 1 items passed on the device"\n}\n' > "$json" ;;
          *PAPER*) echo "sparsity: Size PAPER does not fit into the device, not even with one sequence at a time" >&2; exit 2 ;;
          *"--size TINY --phase ${FAKE_FAILS:-none}"*) echo "sparsity: the device is lost" >&2; exit 1 ;;
          "bench train"*) printf '{\n  "ms_per_step": 12.5,\n  "ms_spread": 0.5,\n  "batch_parts": 1,\n  "copy_gbps": 2000.5\n}\n' > "$json" ;;
        esac
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("gpu check ").FullName;

    public GpuCheckScriptTests()
    {
        File.Copy(Path.Combine(OfficialFixture.RepositoryRoot(), "build", "gpu-check", "check.sh"), Path.Combine(_folder, "check.sh"));
        File.WriteAllText(Path.Combine(_folder, "COMMIT"), "of a test\n");
        string program = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "sparsity")).FullName, "sparsity");
        File.WriteAllText(program, Program);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }

    private string Table => File.ReadAllText(Path.Combine(_folder, "results", "table.md"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [BashFact]
    public void WhatTheMachineCannotDoIsSkipped()
    {
        CommandResult result = Run([]);
        Assert.True(result.ExitCode == 0, result.Output + result.Errors);
        Assert.Contains("devices --check: all 1 items passed on the device", Table, StringComparison.Ordinal);
        Assert.Contains("| L | dense | float32 | 1 | 12.5 (0.5) |", Table, StringComparison.Ordinal);
        Assert.Contains("roofs: copy 2000 GB/s; own dense product - GFLOP/s;", Table, StringComparison.Ordinal);
        Assert.Contains("skipped: train-PAPER-sparse-float32: sparsity: Size PAPER does not fit", Table, StringComparison.Ordinal);
        Assert.EndsWith(Table, result.Output[..(result.Output.TrimEnd().LastIndexOf('\n') + 1)], StringComparison.Ordinal);
    }

    [BashFact]
    public void AFailingPartIsNamedAndTheOthersStillRun()
    {
        Assert.Equal(1, Run([("FAKE_FAILS", "sparse")], "--quick").ExitCode);
        Assert.Contains("failed: train-TINY-sparse-float32: exit code 1: sparsity: the device is lost", Table, StringComparison.Ordinal);
        Assert.DoesNotContain("| TINY | sparse |", Table, StringComparison.Ordinal);
        Assert.Contains("| TINY | dense |", Table, StringComparison.Ordinal);
    }

    /// <summary>The part that runs is ended, and the table says how far the check came.</summary>
    [BashFact]
    public void WhatWasFoundIsKeptWhenItIsStopped()
    {
        using Process process = Start([("FAKE_HANGS", "1")]);
        string log = Path.Combine(_folder, "results", "check.log");
        Assert.True(
            SpinWait.SpinUntil(
                () => File.Exists(log) && File.ReadAllText(log).Contains("hanging", StringComparison.Ordinal),
                TimeSpan.FromMinutes(1)
            )
        );
        Process.Start("kill", ["-TERM", $"{process.Id}"]).WaitForExit();
        CommandResult result = Finish(process);
        Assert.Equal(130, result.ExitCode);
        Assert.Contains("devices --check: not finished: 1 items passed, 0 FAILED", Table, StringComparison.Ordinal);
        Assert.Contains("stopped: check", Table, StringComparison.Ordinal);
        Assert.DoesNotContain("train", result.Output, StringComparison.Ordinal);
    }

    [BashFact]
    public void WhatCannotBeIsRefusedInOneLine()
    {
        Refuse("--device needs a value", [], "--device");
        Refuse("'cuda:0' is no argument", [], "cuda:0");
        Refuse("--limit is 'soon'", [], "--limit", "soon");
        Refuse("the device cannot be used: sparsity: --device is 'wrong'", [], "--device", "wrong", "--out", "wrong device");
        Refuse("no usable GPU was found", [("FAKE_AUTO", "auto takes cpu: there is no usable GPU")], "--out", "no device");
        Refuse("no device: is not empty", [], "--out", "no device");
        Refuse("COMMIT: cannot be made", [], "--out", "COMMIT");
        File.Delete(Path.Combine(_folder, "sparsity", "sparsity"));
        Refuse("build/gpu-check/pack.sh makes the folder", [], "--out", "no program");
    }

    [BashFact]
    public void HelpNamesEveryFlag()
    {
        CommandResult result = Run([], "--help");
        Assert.Equal(0, result.ExitCode);
        Assert.All(
            ["--device", "--out", "--limit", "--quick", "Exit code"],
            word => Assert.Contains(word, result.Output, StringComparison.Ordinal)
        );
        Assert.False(Directory.Exists(Path.Combine(_folder, "results")));
    }

    private void Refuse(string sentence, (string, string)[] environment, params string[] arguments)
    {
        CommandResult result = Run(environment, arguments);
        Assert.True(result.ExitCode == 2, result.Output + result.Errors);
        Assert.Contains(sentence, result.Errors, StringComparison.Ordinal);
        Assert.Single(result.Errors.Trim().Split('\n'));
    }

    private CommandResult Run((string Name, string Value)[] environment, params string[] arguments)
    {
        using Process process = Start(environment, arguments);
        return Finish(process);
    }

    private static CommandResult Finish(Process process)
    {
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new CommandResult(process.ExitCode, output, errors.Result);
    }

    private Process Start((string Name, string Value)[] environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("bash", [Path.Combine(_folder, "check.sh"), .. arguments])
        {
            WorkingDirectory = _folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = "/usr/bin:/bin"; // no CUDA tools; a PyTorch that is there says that it has no CUDA
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }
}
