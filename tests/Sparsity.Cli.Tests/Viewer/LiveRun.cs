using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>A model trained for a moment, with two circuits, and invented reports of one of them, served.</summary>
[CollectionDefinition(Name)]
public sealed class LiveRun : ICollectionFixture<LiveRun>, IDisposable
{
    /// <summary>Of the test classes that share it.</summary>
    public const string Name = "live run";

    private readonly SmallRun _run = new();

    public LiveRun()
    {
        foreach ((string name, string target, string seed) in new[] { ("small", "0.3", "1"), ("large", "0.2", "2") })
        {
            CommandLine.Succeed(
                "prune",
                "--model",
                _run.Trained,
                "--task",
                "single_double_quote",
                "--steps",
                "60",
                "--k-coef",
                "0.001",
                "--target-loss",
                target,
                "--seed",
                seed,
                "--out",
                Path.Combine(_run.Trained, "circuits", name)
            );
        }

        SampleReport.Faithfulness(Circuit("small")).WriteTo(Path.Combine(_run.Trained, "circuits", "small"));
        File.WriteAllText(Path.Combine(_run.Trained, "circuits", "steering.json"), JsonText.Write(SampleReport.Steering()));
        Viewer = new RunningViewer("--run", _run.Trained);
    }

    internal RunningViewer Viewer { get; }

    /// <summary>Of the run, with the model in it.</summary>
    public string Folder => _run.Trained;

    public Circuit Circuit(string name) => Core.Circuits.Circuit.Load(Path.Combine(_run.Trained, "circuits", name, "circuit.json"));

    public void Dispose()
    {
        Viewer.Dispose();
        _run.Dispose();
    }
}
