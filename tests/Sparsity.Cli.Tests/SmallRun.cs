using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>A data folder and a small model trained on it for a moment, made once with the program itself.</summary>
public sealed class SmallRun : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SmallRun()
    {
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.3", "--vocabulary", "400", "--out", Data);
        CommandLine.Succeed([.. TrainArguments, "--out", Model]);
    }

    public string Data => _folder["data"];

    public string Model => _folder["model"];

    /// <summary>What the model was trained with, but for <c>--out</c>.</summary>
    public string[] TrainArguments => ["train", "--data", Data, "--d-model", "32", "--batch", "8", "--tokens", "60000", "--density", "0.25", "--minimum-alive", "2"];

    /// <summary>A path for a file or folder of a test; names must differ between tests.</summary>
    public string this[string name] => _folder[name];

    public void Dispose() => _folder.Dispose();
}
