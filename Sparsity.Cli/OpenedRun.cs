using Sparsity.Core;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli;

/// <summary>A run's model, frozen, in an engine's memory, with its tokenizer and, where asked for, its data.</summary>
internal sealed class OpenedRun : IDisposable
{
    public OpenedRun(string directory, IComputeEngine engine)
    {
        Folder = new RunFolder(directory);
        Model = new Transformer(Folder.ReadModel(engine));
        Tokenizer = BytePairTokenizer.Load(
            BytePairTokenizer.FolderOf(directory) ?? throw new BadInputException($"{directory}: holds no tokenizer. Add it with: sparsity convert --from {directory} --tokenizer DIR --to run --out DIR"));
        if (Tokenizer.VocabularySize > Model.Config.VocabSize)
        {
            throw new BadInputException($"{directory}: its tokenizer has {Tokenizer.VocabularySize} tokens, but the model {Model.Config.VocabSize}. Check that the files belong together.");
        }
    }

    public RunFolder Folder { get; }

    public Transformer Model { get; }

    public BytePairTokenizer Tokenizer { get; }

    /// <summary>run.json.</summary>
    /// <exception cref="BadInputException">There is none: the model was not trained here.</exception>
    public RunRecord Record => IsTrainedHere
        ? Folder.ReadRecord()
        : throw new BadInputException($"{Folder.Directory}: has no run.json that says which data the model belongs to. Give --data DIR.");

    /// <summary>Whether it is a run's folder, not only a model's.</summary>
    public bool IsTrainedHere => File.Exists(Folder.RunPath);

    /// <summary>The data folder given, or the one the run was trained on.</summary>
    public DataFolder OpenData(string? directory)
    {
        DataFolder data = DataFolder.Open(directory ?? RecordedPath.Folder(Record.Data, Folder.Directory));
        if (directory is null)
        {
            Record.RequireData(data, Folder.Directory); // which may be another of the same name
        }

        if (data.Tokenizer.Fingerprint != Tokenizer.Fingerprint)
        {
            throw new BadInputException($"{data.Directory}: was made with another tokenizer than the model in {Folder.Directory}. Give --data a folder made with the model's tokenizer.");
        }

        return data;
    }

    public void Dispose() => Model.Parameters.Dispose();
}
