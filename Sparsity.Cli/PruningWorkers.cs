using Sparsity.Core.Engine;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli;

/// <summary>
/// A model, once for each search that runs at a time. On the CPU several searches with one thread each do more than one with several; a GPU takes
/// one after the other.
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
    public PruningWorkers(EngineVerb verb, string model, string? data, string? tokenizer, int searches)
    {
        int threads = verb.Threads == 0 ? Environment.ProcessorCount : verb.Threads;
        bool isCpu;
        using (IComputeEngine engine = verb.CreateEngine(verb.Threads))
        {
            isCpu = engine.Name == "cpu";
        }

        int atATime = isCpu ? Math.Clamp(searches, 1, threads) : 1;
        for (int i = 0; i < atATime; i++)
        {
            IComputeEngine engine = verb.CreateEngine(isCpu ? Math.Max(1, threads / atATime) : verb.Threads);
            var run = new OpenedRun(model, engine, data, tokenizer, isFirst: i == 0);
            _opened.Add((engine, run));
            _subjects.Add(new PruningSubject(model, run.Model, run.Tokenizer, run.Data.Training, run.Training.ContextTokens));
        }

        Fingerprint = _opened[0].Run.Model.Parameters.Fingerprint();
    }

    /// <summary>SHA-256 of the model's weights.</summary>
    public string Fingerprint { get; }

    public IReadOnlyList<PruningSubject> Subjects => _subjects;

    public void Dispose()
    {
        foreach ((IComputeEngine engine, OpenedRun run) in _opened)
        {
            run.Dispose();
            engine.Dispose();
        }
    }
}
