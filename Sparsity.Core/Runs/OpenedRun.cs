using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// The model of a folder of any kind, frozen, in an engine's memory, with its tokenizer, settings and data. A run's folder says where
/// everything is; a released one takes it from what is given. Tokenizer and data are opened when first asked for.
/// </summary>
public sealed class OpenedRun : IDisposable
{
    /// <summary>The longest window of a model that does not say what it was trained with.</summary>
    private const int UsualContext = 256;

    private readonly string? _givenData;
    private readonly string? _givenTokenizer;
    private TextTokenizer? _tokenizer;
    private DataFolder? _data;

    internal OpenedRun(string directory, IComputeEngine engine, string? data = null, string? tokenizer = null)
    {
        Folder = new RunFolder(directory);
        _givenData = data;
        _givenTokenizer = tokenizer;
        using StoredModel stored = StoredModel.Open(directory);
        Remarks = [.. stored.Remarks];
        Model = new Transformer(stored.Load(engine));
    }

    /// <inheritdoc cref="StoredModel.Remarks"/>
    public IReadOnlyList<string> Remarks { get; }

    public RunFolder Folder { get; }

    public Transformer Model { get; }

    /// <summary>The tokenizer given, the one of the model's folder, or the one that its data were made with.</summary>
    /// <exception cref="BadInputException">There is none, or it has more tokens than the model.</exception>
    public TextTokenizer Tokenizer => _tokenizer ??= OpenTokenizer();

    /// <summary>The same; null where there is none.</summary>
    public TextTokenizer? FindTokenizer() => _tokenizer is null && TokenizerSource is null ? null : Tokenizer;

    /// <summary>The data folder given, or the one the run was trained on, which may have been moved with the run.</summary>
    /// <exception cref="BadInputException">There is none, it was made with another tokenizer, or it holds other text than the run began
    /// with.</exception>
    public DataFolder Data => _data ??= OpenData();

    /// <summary>The same; null where neither the run nor whoever opened it says which.</summary>
    public DataFolder? FindData() => _data is null && DataDirectory is null ? null : Data;

    /// <summary>
    /// What the run was trained with; of a model from elsewhere the usual batch, and windows as long as it reads, at most 256 tokens.
    /// </summary>
    public TrainingConfig Training => TrainingOf(Folder, Model.Config);

    /// <inheritdoc cref="Training"/>
    internal static TrainingConfig TrainingOf(RunFolder folder, ModelConfig model) =>
        File.Exists(folder.RunPath)
            ? folder.ReadRecord().Training
            : new TrainingConfig { ContextTokens = Math.Min(UsualContext, model.BlockSize) }.Resolved(model, folder.Directory);

    /// <summary>Whether it is a run's folder, not only a model's.</summary>
    public bool IsTrainedHere => File.Exists(Folder.RunPath);

    /// <summary>A folder of a run or of data will do as well as the tokenizer's own below it.</summary>
    private string? GivenTokenizer => _givenTokenizer is null ? null : TokenizerFolder.FolderOf(_givenTokenizer) ?? _givenTokenizer;

    private string? TokenizerSource => GivenTokenizer ?? TokenizerFolder.FolderOf(Folder.Directory) ?? DataDirectory;

    private string? DataDirectory => _givenData ?? (IsTrainedHere ? RecordedPath.Folder(Folder.ReadRecord().Data, Folder.Directory) : null);

    /// <summary>For what computes without data: a data folder may only say which tokenizer the model has.</summary>
    /// <param name="what">What is being done, such as "generate".</param>
    /// <exception cref="BadInputException">Data were given, and would be passed over.</exception>
    internal void RequireDataForTokenizer(string what)
    {
        if (_givenData is not null && TokenizerSource is var source && source != _givenData)
        {
            throw new BadInputException($"{what} does not use the data folder: the tokenizer is that of {source}. Leave it out.");
        }
    }

    public void Dispose() => Model.Parameters.Dispose();

    private DataFolder OpenData()
    {
        var data = DataFolder.Open(
            DataDirectory
                ?? throw new BadInputException(
                    $"{Folder.Directory}: has no run.json that says which data the model belongs to. Give a data folder."
                )
        );
        if (_givenData is null)
        {
            Folder.ReadRecord().RequireData(data, Folder.Directory); // which may be another of the same name
        }

        return data.Tokenizer.Fingerprint == Tokenizer.Fingerprint
            ? data
            : throw new BadInputException(
                $"{data.Directory}: was made with another tokenizer than the model in {Folder.Directory}. "
                    + "Give a data folder made with the model's tokenizer."
            );
    }

    private TextTokenizer OpenTokenizer()
    {
        string source =
            TokenizerSource
            ?? throw new BadInputException(
                $"{Folder.Directory}: holds no tokenizer. Give a tokenizer's folder, or a data folder made with it."
            );
        TextTokenizer tokenizer = source == DataDirectory ? DataFolder.Open(source).Tokenizer : TokenizerFolder.Load(source);
        return tokenizer.VocabularySize <= Model.Config.VocabSize
            ? tokenizer
            : throw new BadInputException(
                $"{source}: the tokenizer has {tokenizer.VocabularySize} tokens, but the model in {Folder.Directory} "
                    + $"{Model.Config.VocabSize}. "
                    + "Check that they belong together."
            );
    }
}
