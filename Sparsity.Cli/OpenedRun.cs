using Sparsity.Core;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;

namespace Sparsity.Cli;

/// <summary>
/// The model of a folder of any kind, frozen, in an engine's memory, with its tokenizer, settings and data. This is where verbs open models.
/// A run's folder says where everything is; a released one takes it from what is given. Tokenizer and data are opened when first asked for.
/// </summary>
internal sealed class OpenedRun : IDisposable
{
    /// <summary>The longest window of a model that does not say what it was trained with.</summary>
    private const int UsualContext = 256;

    private readonly string? _givenData;
    private readonly string? _givenTokenizer;
    private TextTokenizer? _tokenizer;
    private DataFolder? _data;

    /// <param name="directory">Of any kind that <see cref="StoredModel"/> reads.</param>
    /// <param name="engine">Where the weights go.</param>
    /// <param name="data">Data folder; null for the one that the run was trained on.</param>
    /// <param name="tokenizer">Tokenizer folder; null for the model's own, or else that of the data.</param>
    /// <param name="isFirst">False where the same model is opened once more: what there is to say of it was said.</param>
    public OpenedRun(string directory, IComputeEngine engine, string? data = null, string? tokenizer = null, bool isFirst = true)
    {
        Folder = new RunFolder(directory);
        _givenData = data;
        _givenTokenizer = tokenizer;
        using StoredModel stored = StoredModel.Open(directory);
        if (isFirst)
        {
            Tell(stored);
        }

        Model = new Transformer(stored.Load(engine));
    }

    public RunFolder Folder { get; }

    public Transformer Model { get; }

    /// <summary>The tokenizer given, the one of the model's folder, or the one that its data were made with.</summary>
    /// <exception cref="BadInputException">There is none, or it has more tokens than the model.</exception>
    public TextTokenizer Tokenizer => _tokenizer ??= OpenTokenizer();

    /// <summary>The same; null where there is none.</summary>
    public TextTokenizer? FindTokenizer() => _tokenizer is null && TokenizerSource is null ? null : Tokenizer;

    /// <summary>The data folder given, or the one the run was trained on, which may have been moved with the run.</summary>
    /// <exception cref="BadInputException">There is none, it was made with another tokenizer, or it holds other text than the run began with.</exception>
    public DataFolder Data => _data ??= OpenData();

    /// <summary>
    /// What the run was trained with; of a model from elsewhere the usual batch, and windows as long as it reads, at most 256 tokens.
    /// </summary>
    public TrainingConfig Training => TrainingOf(Folder, Model.Config);

    /// <inheritdoc cref="Training"/>
    public static TrainingConfig TrainingOf(RunFolder folder, ModelConfig model) => File.Exists(folder.RunPath)
        ? folder.ReadRecord().Training
        : new TrainingConfig { ContextTokens = Math.Min(UsualContext, model.BlockSize) }.Resolved(model, folder.Directory);

    /// <summary>Whether it is a run's folder, not only a model's.</summary>
    public bool IsTrainedHere => File.Exists(Folder.RunPath);

    /// <summary>A folder of a run or of data will do as well as the tokenizer's own below it.</summary>
    private string? GivenTokenizer => _givenTokenizer is null ? null : TokenizerFolder.FolderOf(_givenTokenizer) ?? _givenTokenizer;

    private string? TokenizerSource => GivenTokenizer ?? TokenizerFolder.FolderOf(Folder.Directory) ?? DataDirectory;

    private string? DataDirectory =>
        _givenData ?? (IsTrainedHere ? RecordedPath.Folder(Folder.ReadRecord().Data, Folder.Directory) : null);

    /// <summary>Says what was read otherwise than it stands in the files.</summary>
    public static void Tell(StoredModel stored)
    {
        if (stored.WrapperPrefixes.Count > 0)
        {
            Terminal.Line($"{stored.Directory}: left out of the tensors' names: {string.Join(", ", stored.WrapperPrefixes)}");
        }

        foreach (string note in stored.Notes)
        {
            Terminal.Line($"{stored.Directory}: {note}");
        }
    }

    public void Dispose() => Model.Parameters.Dispose();

    private DataFolder OpenData()
    {
        var data = DataFolder.Open(DataDirectory ?? throw new BadInputException(
            $"{Folder.Directory}: has no run.json that says which data the model belongs to. Give --data DIR."));
        if (_givenData is null)
        {
            Folder.ReadRecord().RequireData(data, Folder.Directory); // which may be another of the same name
        }

        return data.Tokenizer.Fingerprint == Tokenizer.Fingerprint ? data : throw new BadInputException(
            $"{data.Directory}: was made with another tokenizer than the model in {Folder.Directory}. "
            + "Give --data a folder made with the model's tokenizer.");
    }

    private TextTokenizer OpenTokenizer()
    {
        string source = TokenizerSource
            ?? throw new BadInputException(
                $"{Folder.Directory}: holds no tokenizer. Give --tokenizer DIR, or --data DIR, a data folder made with it.");
        TextTokenizer tokenizer = source == DataDirectory ? DataFolder.Open(source).Tokenizer : TokenizerFolder.Load(source);
        return tokenizer.VocabularySize <= Model.Config.VocabSize ? tokenizer : throw new BadInputException(
            $"{source}: the tokenizer has {tokenizer.VocabularySize} tokens, but the model in {Folder.Directory} {Model.Config.VocabSize}. "
            + "Check that they belong together.");
    }
}
