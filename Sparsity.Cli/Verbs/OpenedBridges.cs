using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;

namespace Sparsity.Cli.Verbs;

/// <summary>A run with bridges: the sparse model, the bridges, and the dense model they lead to, all frozen.</summary>
internal sealed class OpenedBridges : IDisposable
{
    private readonly OpenedRun _dense;

    /// <param name="directory">The run with bridges.</param>
    /// <param name="denseDirectory">Where the dense model is now; null for where it was.</param>
    /// <param name="engine">Where all three go.</param>
    /// <param name="data">Data folder; null for the run's own.</param>
    /// <param name="tokenizer">Tokenizer folder; null for the run's own.</param>
    public OpenedBridges(string directory, string? denseDirectory, IComputeEngine engine, string? data, string? tokenizer)
    {
        var files = new BridgeFolder(directory);
        BridgeRecord record = files.ReadRecord();
        string dense = denseDirectory ?? RecordedPath.Folder(record.Dense, directory);
        if (!Directory.Exists(dense))
        {
            throw new BadInputException(
                $"{directory}: its bridges lead to the dense model '{dense}', but there is no such folder. Give its folder with --dense."
            );
        }

        Sparse = Run.Open(directory, engine, data, tokenizer);
        Terminal.Lines(Sparse.Remarks);
        _dense = Run.Open(dense, engine);
        Bridges = files.ReadBridges(Dense.Parameters, Sparse.Model.Parameters, record.Bridge);
    }

    public OpenedRun Sparse { get; }

    public Transformer Dense => _dense.Model;

    public BridgePairs Bridges { get; }

    public void Dispose()
    {
        Bridges.Dispose();
        _dense.Dispose();
        Sparse.Dispose();
    }
}
