using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;

namespace Sparsity.Cli;

/// <summary>A run with bridges: the sparse model, the bridges, and the dense model they lead to, all frozen.</summary>
internal sealed class OpenedBridges : IDisposable
{
    /// <param name="directory">The run with bridges.</param>
    /// <param name="denseDirectory">Where the dense model is now; null for where it was.</param>
    public OpenedBridges(string directory, string? denseDirectory, IComputeEngine engine)
    {
        var files = new BridgeFolder(directory);
        BridgeRecord record = files.ReadRecord();
        Sparse = new OpenedRun(directory, engine);
        Dense = new Transformer(new RunFolder(denseDirectory ?? RecordedPath.Folder(record.Dense, directory)).ReadModel(engine));
        Bridges = files.ReadBridges(Dense.Parameters, Sparse.Model.Parameters, record.Bridge);
    }

    public OpenedRun Sparse { get; }

    public Transformer Dense { get; }

    public BridgePairs Bridges { get; }

    public void Dispose()
    {
        Bridges.Dispose();
        Dense.Parameters.Dispose();
        Sparse.Dispose();
    }
}
