using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// The models that circuits were found in, opened when first asked for. A circuit knows its model by the fingerprint of the weights.
/// </summary>
/// <param name="open">Opens the model of a folder; all of them in one engine's memory.</param>
/// <param name="folders">For a circuit, the models' folders to look in, the likeliest first.</param>
internal sealed class ModelShelf(Func<string, OpenedRun> open, Func<Circuit, CircuitFile, IEnumerable<string>> folders) : IDisposable
{
    private readonly Dictionary<string, ShelvedModel> _opened = [];

    /// <summary>An engine does one thing at a time: held by whoever uses the models.</summary>
    public Lock Turn { get; } = new();

    /// <summary>One given folder.</summary>
    public static ModelShelf At(Func<string, OpenedRun> open, string folder) => new(open, (_, _) => [folder]);

    /// <summary>
    /// The folder that circuit.json names, where it was or as it lies near the circuit, and the folders above the circuit.
    /// </summary>
    public static ModelShelf Around(Func<string, OpenedRun> open) => new(open, (circuit, file) => Around(circuit, file.FilePath));

    /// <summary>Folders with a model that may be the circuit's, the likeliest first.</summary>
    /// <param name="circuit">Found in it.</param>
    /// <param name="path">Of circuit.json.</param>
    public static IEnumerable<string> Around(Circuit circuit, string path)
    {
        var above = new List<string>();
        for (string? folder = Path.GetDirectoryName(Path.GetFullPath(path)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            above.Add(folder);
        }

        return RecordedPath.Places(circuit.Model, above[0]).Concat(above).Where(StoredModel.IsIn);
    }

    /// <summary>The models of one run and no others.</summary>
    public static ModelShelf Of(Func<string, OpenedRun> open, RunFiles run) =>
        new(
            open,
            (circuit, _) =>
                run
                    .Models.Where(StoredModel.IsIn)
                    .OrderBy(folder => Path.GetFileName(circuit.Model.TrimEnd('/', '\\')) == Path.GetFileName(folder) ? 0 : 1)
        );

    /// <summary>The model of a circuit; null where none of the folders holds it.</summary>
    /// <exception cref="BadInputException">It is not found, and a folder where it might be is damaged.</exception>
    public ShelvedModel? Find(Circuit circuit, CircuitFile file)
    {
        BadInputException? damage = null;
        foreach (string folder in folders(circuit, file).Select(Path.GetFullPath).Distinct())
        {
            try
            {
                if (!_opened.TryGetValue(folder, out ShelvedModel? model))
                {
                    _opened[folder] = model = new ShelvedModel(open(folder));
                }

                if (model.Fingerprint == circuit.ModelFingerprint)
                {
                    return model;
                }
            }
            catch (BadInputException e)
            {
                damage ??= e;
            }
        }

        return damage is null ? null : throw damage;
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

    /// <summary>Null where the model's folder has none.</summary>
    public TextTokenizer? Tokenizer { get; } = run.FindTokenizer();

    public string Fingerprint { get; } = run.Model.Parameters.Fingerprint();

    /// <summary>A token as text, escaped where it is not printable; its id where there is no tokenizer.</summary>
    public string Describe(int token) => Tokenizer?.Describe(token) ?? FormattableString.Invariant($"#{token}");

    /// <summary>A prompt as text.</summary>
    public string Text(int[] tokens) => Tokenizer?.DecodeText(tokens) ?? string.Join(' ', tokens.Select(Describe));
}
