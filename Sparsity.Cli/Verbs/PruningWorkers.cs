using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;

namespace Sparsity.Cli.Verbs;

/// <summary>
/// A model, once for each search that runs at a time. On the CPU several searches with one thread each do more than one with several; a GPU
/// takes one after the other.
/// </summary>
internal sealed class PruningWorkers : IDisposable
{
    private readonly List<(IComputeEngine Engine, OpenedRun Run)> _opened = [];
    private readonly List<PruningSubject> _subjects = [];

    /// <param name="verb">Which engine.</param>
    /// <param name="model">Its folder.</param>
    /// <param name="data">Data folder; null for the run's own.</param>
    /// <param name="tokenizer">Tokenizer folder; null for the model's own, or that of the data.</param>
    /// <param name="searches">How many there are in all.</param>
    /// <param name="config">Of the searches.</param>
    /// <param name="withControls">Whether each is followed by its controls.</param>
    /// <exception cref="BadInputException">A search does not fit into the device's memory.</exception>
    public PruningWorkers(
        EngineVerb verb,
        string model,
        string? data,
        string? tokenizer,
        int searches,
        PruningConfig config,
        bool withControls
    )
    {
        int threads = verb.Threads == 0 ? Environment.ProcessorCount : verb.Threads;
        bool isCpu;
        using (IComputeEngine engine = verb.CreateEngine(verb.Threads))
        {
            isCpu = engine.Name == "cpu";
            RequireRoom(engine, model, config, withControls);
        }

        int atATime = isCpu ? Math.Clamp(searches, 1, threads) : 1;
        for (int i = 0; i < atATime; i++)
        {
            IComputeEngine engine = verb.CreateEngine(isCpu ? Math.Max(1, threads / atATime) : verb.Threads);
            OpenedRun run = Run.Open(model, engine, data, tokenizer);
            Terminal.Lines(i == 0 ? run.Remarks : []);
            _opened.Add((engine, run));
            _subjects.Add(PruningSubject.Of(run));
            DataFingerprint ??= run.FindData()?.Fingerprint();
            if (withControls && _subjects[i].Pretraining.IsEmpty)
            {
                throw new BadInputException(
                    $"{model}: comes without text, but --faithfulness needs some to measure random models on. Give --data."
                );
            }
        }

        Fingerprint = _opened[0].Run.Model.Parameters.Fingerprint();
    }

    /// <summary>SHA-256 of the model's weights.</summary>
    public string Fingerprint { get; }

    /// <summary><see cref="DataFolder.Fingerprint"/> of the data; null for a model that comes with means instead.</summary>
    public string? DataFingerprint { get; }

    public IReadOnlyList<PruningSubject> Subjects => _subjects;

    private static void RequireRoom(IComputeEngine engine, string directory, PruningConfig config, bool withControls)
    {
        if (engine.Memory is not { } memory)
        {
            return;
        }

        using StoredModel stored = StoredModel.Open(directory);
        ModelConfig model = stored.Config;
        int contextTokens = OpenedRun.TrainingOf(new RunFolder(directory), model).ContextTokens;
        long needed = PruningMemory.BytesOf(memory, model, config, contextTokens, withControls);
        if (needed > memory.FreeBytes)
        {
            throw new BadInputException(
                FormattableString.Invariant(
                    $"Pruning with prompts of up to {Math.Min(config.MaxTokens, model.BlockSize)} tokens needs {Gigabytes(needed)}, "
                )
                    + $"but {engine.Description} has {Gigabytes(memory.FreeBytes)} free of {Gigabytes(memory.TotalBytes)}. "
                    + "Lower max_tokens, free the device's memory, or use --device cpu."
            );
        }

        static string Gigabytes(long bytes) =>
            string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1073741824.0:0.00} GiB");
    }

    public void Dispose()
    {
        foreach ((IComputeEngine engine, OpenedRun run) in _opened)
        {
            run.Dispose();
            engine.Dispose();
        }
    }
}
