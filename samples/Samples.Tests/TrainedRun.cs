using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;
using Sparsity.Kernels;

namespace Samples.Tests;

/// <summary>A run that holds the trained model of tests/assets, with data of its tokenizer.</summary>
public sealed class TrainedRun : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("sparsity-samples-");

    public TrainedRun()
    {
        string data = Path.Combine(_root.FullName, "data");
        CorpusFolder.Write(data, SyntheticPython.Documents(seed: 1, bytes: 300_000), CorpusInfo.Of("synthetic", seed: 1));
        DataFolder tokens = DataFolder.Tokenize(data, TokenizerFolder.Load(Path.Combine(Asset, "tokenizer")), vocabularySize: 0);
        using IComputeEngine engine = EngineFactory.Create("cpu");
        using var model = StoredModel.Open(Asset);
        TrainingConfig still = TrainingConfig.SmallDense with { Lr = 0, TotalTokens = 1024 };
        using TrainingRun run = Run.Create(Folder, engine, tokens, model.Config, still, model);
        run.Run();
    }

    public static string Root { get; } = FindRoot();

    public string Folder => Path.Combine(_root.FullName, "run");

    private static string Asset => Path.Combine(Root, "tests", "assets", "sparse-2x128");

    public string this[string name] => Path.Combine(_root.FullName, name);

    public void Dispose() => _root.Delete(recursive: true);

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "CircuitSparsity.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new DirectoryNotFoundException("The repository's root was not found.");
    }
}
