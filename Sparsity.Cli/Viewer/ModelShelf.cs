using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Viewer;

/// <summary>The models that circuits were found in, opened when first asked for. A circuit knows its model by the fingerprint of the weights.</summary>
/// <param name="engine">Where they live.</param>
/// <param name="folders">For a circuit, the run folders to look in, the likeliest first.</param>
internal sealed class ModelShelf(IComputeEngine engine, Func<Circuit, CircuitFile, IEnumerable<string>> folders) : IDisposable
{
    private readonly Dictionary<string, ShelvedModel> _opened = [];
    private readonly Lock _opening = new();

    /// <summary>The model of a circuit; null where none of the folders holds it.</summary>
    /// <exception cref="BadInputException">A folder's files are damaged.</exception>
    public ShelvedModel? Find(Circuit circuit, CircuitFile file)
    {
        lock (_opening)
        {
            foreach (string folder in folders(circuit, file).Select(Path.GetFullPath).Distinct())
            {
                if (!_opened.TryGetValue(folder, out ShelvedModel? model))
                {
                    _opened[folder] = model = new ShelvedModel(new OpenedRun(folder, engine));
                }

                if (model.Fingerprint == circuit.ModelFingerprint)
                {
                    return model;
                }
            }

            return null;
        }
    }

    public void Dispose()
    {
        foreach (ShelvedModel model in _opened.Values)
        {
            model.Run.Dispose();
        }
    }
}

/// <summary>An opened model with what does not change about it.</summary>
internal sealed class ShelvedModel(OpenedRun run)
{
    public OpenedRun Run { get; } = run;

    public Transformer Model => Run.Model;

    public BytePairTokenizer Tokenizer => Run.Tokenizer;

    public NodeLayout Layout { get; } = new(run.Model.Config);

    public string Fingerprint { get; } = run.Model.Parameters.Fingerprint();
}
