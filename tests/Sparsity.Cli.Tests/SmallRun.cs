using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>
/// A data folder and a small model trained on it for a moment, made with the program itself when a test first asks; and a run that holds
/// the model of tests/assets.
/// </summary>
public sealed class SmallRun : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<string> _data;
    private readonly Lazy<string> _model;
    private readonly Lazy<string> _trained;

    public SmallRun()
    {
        _data = new Lazy<string>(MakeData);
        _model = new Lazy<string>(MakeModel);
        _trained = new Lazy<string>(MakeTrained);
    }

    /// <summary>A run whose model can do single_double_quote: a few steps at rate 0 from the weights of tests/assets.</summary>
    public string Trained => _trained.Value;

    public string Data => _data.Value;

    public string Model => _model.Value;

    /// <summary>What the model was trained with, but for <c>--out</c>.</summary>
    public string[] TrainArguments =>
        ["train", "--data", Data, "--d-model", "32", "--batch", "8", "--tokens", "60000", "--density", "0.25", "--minimum-alive", "2"];

    /// <summary>A path for a file or folder of a test; names must differ between tests.</summary>
    public string this[string name] => _folder[name];

    private string MakeData()
    {
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.3", "--vocabulary", "400", "--out", _folder["data"]);
        return _folder["data"];
    }

    private string MakeModel()
    {
        CommandLine.Succeed([.. TrainArguments, "--out", _folder["model"]]);
        return _folder["model"];
    }

    private string MakeTrained()
    {
        string asset = Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128");
        CommandLine.Succeed(
            "corpus",
            "--synthetic",
            "--megabytes",
            "0.3",
            "--tokenizer",
            Path.Combine(asset, "tokenizer"),
            "--out",
            _folder["trained data"]
        );
        CommandLine.Succeed(
            "train",
            "--data",
            _folder["trained data"],
            "--init",
            asset,
            "--dense",
            "--lr",
            "0",
            "--batch",
            "8",
            "--tokens",
            "2048",
            "--out",
            _folder["trained"]
        );
        return _folder["trained"];
    }

    public void Dispose() => _folder.Dispose();
}
