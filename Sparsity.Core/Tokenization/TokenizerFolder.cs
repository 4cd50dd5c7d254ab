using Sparsity.Core.Files;

namespace Sparsity.Core.Tokenization;

/// <summary>Finds out which kind of tokenizer a folder holds, and opens it.</summary>
public static class TokenizerFolder
{
    /// <summary>What a folder of a tokenizer may hold, for messages.</summary>
    private const string Kinds =
        BytePairFiles.EncoderName
        + " and "
        + BytePairFiles.MergesName
        + ", "
        + TokenizerJson.FileName
        + ", "
        + SentencePieceTokenizer.FileName
        + ", or a file *"
        + TiktokenTokenizer.Extension;

    /// <summary>Opens the tokenizer of a folder.</summary>
    /// <exception cref="BadInputException">There is none, a file is damaged, or it is of a kind that is not known to give the right ids
    /// here.</exception>
    public static TextTokenizer Load(string directory)
    {
        if (File.Exists(Path.Combine(directory, BytePairFiles.MergesName)))
        {
            return BytePairTokenizer.Load(directory);
        }

        string json = Path.Combine(directory, TokenizerJson.FileName);
        if (File.Exists(json))
        {
            return WordPieceTokenizer.IsOne(json) ? WordPieceTokenizer.Load(json) : BytePairTokenizer.Load(directory);
        }

        string pieces = Path.Combine(directory, SentencePieceTokenizer.FileName);
        return File.Exists(pieces) ? SentencePieceTokenizer.Load(pieces)
            : TiktokenFile(directory) is { } ranks ? TiktokenTokenizer.Load(ranks)
            : throw new BadInputException($"{directory}: holds no tokenizer; expected {Kinds}. Check the path.");
    }

    /// <summary>
    /// Where the tokenizer of a model's folder is: in its folder tokenizer/, as a run has it; beside the weights; or in the folder
    /// tinypython/ that the official
    /// release has beside its models/; null if there is none.
    /// </summary>
    public static string? FolderOf(string modelDirectory)
    {
        const string ReleasedModels = "models",
            ReleasedTokenizer = "tinypython";
        string own = Path.Combine(modelDirectory, "tokenizer");
        if (Directory.Exists(own))
        {
            return own;
        }

        string? above = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(modelDirectory)));
        string released = Path.Combine(Path.GetDirectoryName(above) ?? "", ReleasedTokenizer);
        return IsIn(modelDirectory) ? modelDirectory
            : Path.GetFileName(above) == ReleasedModels && IsIn(released) ? released
            : null;
    }

    private static bool IsIn(string directory) =>
        new[] { BytePairFiles.MergesName, TokenizerJson.FileName, SentencePieceTokenizer.FileName }.Any(name =>
            File.Exists(Path.Combine(directory, name))
        ) || TiktokenFile(directory) is not null;

    /// <summary>Writes a tokenizer's one file.</summary>
    /// <exception cref="BadInputException">The folder cannot be made, or the file not written.</exception>
    internal static void Write(string directory, string name, byte[] content)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"{directory}: the folder cannot be made ({e.Message}). Choose another one.", e);
        }

        AtomicFile.Write(Path.Combine(directory, name), stream => stream.Write(content));
    }

    /// <summary>The bytes of a tokenizer's file.</summary>
    /// <exception cref="BadInputException">It cannot be read, or is far larger than any tokenizer.</exception>
    internal static byte[] Read(string path)
    {
        const long LargestFile = 1 << 28;
        try
        {
            byte[] bytes =
                new FileInfo(path).Length <= LargestFile
                    ? File.ReadAllBytes(path)
                    : throw new BadInputException($"{path}: has more than {LargestFile} bytes, far more than a tokenizer. Check the path.");
            GitLfsPointer.Refuse(path, bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path.", e);
        }
    }

    /// <summary>Checks that ids fit the 16 bits of a data folder's files.</summary>
    /// <exception cref="BadInputException">They do not.</exception>
    internal static void RequireSize(string path, int tokens)
    {
        if (tokens > BytePairTrainer.MaximumVocabulary)
        {
            throw new BadInputException(
                $"{path}: has {tokens} tokens, but token files and models hold at most "
                    + $"{BytePairTrainer.MaximumVocabulary}. Use a smaller tokenizer."
            );
        }
    }

    private static string? TiktokenFile(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return null;
        }

        string[] files = Directory.GetFiles(directory, "*" + TiktokenTokenizer.Extension);
        return files.Length <= 1
            ? files.FirstOrDefault()
            : throw new BadInputException($"{directory}: has {files.Length} files *{TiktokenTokenizer.Extension}. Keep one.");
    }
}
