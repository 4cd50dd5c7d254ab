using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Mpi;

/// <summary>
/// The scripts of docs/cluster.md as they stand there, run by bash with the variables that Slurm would set; srun is a stand-in.
/// </summary>
[Trait("Category", "Mpi")]
public sealed class ClusterScriptTests(SmallRun run) : IClassFixture<SmallRun>
{
    private static readonly string Document = File.ReadAllText(Path.Combine(OfficialFixture.Root, "..", "..", "..", "docs", "cluster.md"));

    [OpenMpiFact]
    public void ATrainingJobIsStoppedAndGoesOnUnderOpenMpi() => ATrainingJobIsStoppedAndGoesOn(MpiLauncher.OpenMpi!);

    [MpichFact]
    public void ATrainingJobIsStoppedAndGoesOnUnderMpich() => ATrainingJobIsStoppedAndGoesOn(MpiLauncher.Mpich!);

    [BashFact]
    public void AnArrayOfSearchesIsJoined()
    {
        string work = WorkFolder("searches");
        foreach (int task in new[] { 1, 2, 2 }) // the last one is started again
        {
            Succeed(work, Script("prune.sbatch"), [.. ArrayTask(task, 2), ("MODEL", run.Model)]);
        }

        Succeed(work, Assert.Single(Commands("merge", "runs/circuits ")));
        JsonNode results = JsonNode.Parse(File.ReadAllText(Path.Combine(work, "runs", "circuits-joined", "results.json")))!;
        Assert.Equal(3 * 20, results["results"]!.AsArray().Count); // seeds and tasks
    }

    [BashFact]
    public void AnArrayOfAFigureIsJoinedAndDrawn()
    {
        string work = WorkFolder("figure");
        foreach (int task in new[] { 1, 2 })
        {
            Succeed(work, Script("reproduce.sbatch"), [.. ArrayTask(task, 2), ("FIGURE", "necessity"), ("BUDGET", "1")]);
        }

        Succeed(work, Assert.Single(Commands("merge", "runs/paper ")));
        string draw = Assert.Single(Commands("reproduce", "runs/paper-joined"));
        Succeed(
            work,
            draw.Replace("size-vs-loss", "necessity", StringComparison.Ordinal)
                .Replace("--budget 30", "--budget 1", StringComparison.Ordinal)
        );
        Assert.True(File.Exists(Path.Combine(work, "runs", "paper-joined", "necessity", "result.json")));
    }

    private static (string, string)[] ArrayTask(int task, int count) =>
        [("SLURM_JOB_ID", "7"), ("SLURM_NTASKS", "1"), ("SLURM_ARRAY_TASK_ID", $"{task}"), ("SLURM_ARRAY_TASK_COUNT", $"{count}")];

    /// <summary>Commands of the program that stand in the text.</summary>
    private static IEnumerable<string> Commands(string verb, string about) =>
        Regex
            .Matches(Document, $"`(dotnet bin/sparsity.dll {verb} [^`]*)`")
            .Select(match => match.Groups[1].Value)
            .Where(command => command.Contains(about, StringComparison.Ordinal));

    private void ATrainingJobIsStoppedAndGoesOn(MpiLauncher launcher)
    {
        string work = WorkFolder($"{launcher.Name} job"),
            alone = run[$"{launcher.Name} without job"],
            config = Path.Combine(work, "config.json");
        var settings = new JsonObject
        {
            ["model"] = JsonNode.Parse(File.ReadAllText(Path.Combine(run.Model, "config.json"))),
            ["training"] = JsonNode.Parse(
                """{"batch_sequences": 8, "batch_parts": 2, "total_tokens": 100000, "density": 0.25, "minimum_alive_per_neuron": 2, "log_every": 1}"""
            ),
        };
        File.WriteAllText(config, settings.ToJsonString());
        CommandLine.Succeed("train", "--data", run.Data, "--config", config, "--out", alone);

        // What --kill-on-bad-exit=1 and the two tasks on a node come to here.
        string srun = Path.Combine(work, "path", "srun");
        Directory.CreateDirectory(Path.GetDirectoryName(srun)!);
        File.WriteAllText(
            srun,
            $"#!/bin/bash\n[ \"$1\" = --kill-on-bad-exit=1 ] || exit 64\nshift\nexec {string.Join(' ', launcher.Command(2))} \"$@\"\n"
        );
        Process.Start("chmod", ["+x", srun]).WaitForExit();
        string folder = Path.Combine(work, "run");
        (string, string)[] job =
        [
            ("SLURM_JOB_ID", "7"),
            ("SLURM_NTASKS", "2"),
            ("PATH", $"{Path.GetDirectoryName(srun)}:{Environment.GetEnvironmentVariable("PATH")}"),
            ("RUN", folder),
            ("DATA", run.Data),
            ("CONFIG", config),
            .. MpiLauncher.AsRoot,
        ];

        // The time is nearly up: Slurm asks all tasks to stop.
        (int code, string output, string errors) = MpiLauncher.Finish(
            Start(work, Script("train.sbatch"), job),
            _ =>
            {
                int first = DataParallelTests.RankAfter(12, 0, folder),
                    second = DataParallelTests.RankAfter(12, 1, folder);
                Process.Start("kill", ["-TERM", $"{first}", $"{second}"]).WaitForExit();
            }
        );
        Assert.True(code == 0, output + errors);
        Assert.Contains("stopped; continue with: sparsity train --resume", output, StringComparison.Ordinal);

        (code, output, errors) = MpiLauncher.Finish(Start(work, Script("train.sbatch"), job));
        Assert.True(code == 0, output + errors);
        Assert.Contains($"continuing {folder} at step", output, StringComparison.Ordinal);
        DataParallelTests.RequireSameFiles(alone, folder);
    }

    /// <summary>Where a job is started, with the program in bin/.</summary>
    private string WorkFolder(string name)
    {
        string work = Directory.CreateDirectory(run[name]).FullName;
        Directory.CreateSymbolicLink(Path.Combine(work, "bin"), AppContext.BaseDirectory);
        return work;
    }

    private static string Script(string name) =>
        Regex.Match(Document, $"`{name}`.*?```bash\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;

    private static void Succeed(string work, string command, params (string, string)[] environment)
    {
        (int code, string output, string errors) = MpiLauncher.Finish(Start(work, command, environment));
        Assert.True(code == 0, $"{command} ended with {code}: {output}{errors}");
    }

    private static Process Start(string work, string script, (string Name, string Value)[] environment)
    {
        Assert.NotEmpty(script);
        var start = new ProcessStartInfo("bash", ["-c", script])
        {
            WorkingDirectory = work,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }
}
