using System.Text;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// GPT-2's two files: <c>vocab.bpe</c>, a comment line and then the two parts of each merge in the order of ranks, and
/// <c>encoder.json</c>, the id of each token.
/// The second follows from the first but for the special tokens, and is checked against it; it may leave out the end of text.
/// </summary>
internal static class BytePairFiles
{
    public const string EncoderName = "encoder.json";
    public const string MergesName = "vocab.bpe";
    private const string VersionLine = "#version: 0.2";

    /// <summary>Behind the version; for readers only, since the merges show it.</summary>
    private const string SeparateBracketsNote = ", separate brackets";

    public static void Save(BytePairTokenizer tokenizer, string directory)
    {
        var merges = new StringBuilder(VersionLine).Append(tokenizer.HasSeparateBrackets ? SeparateBracketsNote : "").Append('\n');
        foreach ((int left, int right) in tokenizer.Merges)
        {
            merges
                .Append(ByteSymbols.ToText(tokenizer.BytesOf(left)))
                .Append(' ')
                .Append(ByteSymbols.ToText(tokenizer.BytesOf(right)))
                .Append('\n');
        }

        AtomicFile.WriteText(Path.Combine(directory, MergesName), merges.ToString());
        AtomicFile.WriteText(Path.Combine(directory, EncoderName), JsonText.Write(Vocabulary(tokenizer)));
    }

    public static BytePairTokenizer Load(string directory)
    {
        var builder = new VocabularyBuilder();
        ReadMerges(Path.Combine(directory, MergesName), builder);
        string encoderPath = Path.Combine(directory, EncoderName);
        builder.CheckIds(JsonText.ParseObject(JsonText.ReadAllText(encoderPath), encoderPath), encoderPath, MergesName);
        return builder.Build();
    }

    /// <summary>The id of each token, by its text, in the order of ids.</summary>
    public static JsonObject Vocabulary(BytePairTokenizer tokenizer)
    {
        var vocabulary = new JsonObject();
        for (int id = 0; id < tokenizer.TextTokens; id++)
        {
            vocabulary.Add(ByteSymbols.ToText(tokenizer.BytesOf(id)), id);
        }

        foreach ((int id, string name) in tokenizer.Specials)
        {
            vocabulary.Add(name, id);
        }

        return vocabulary;
    }

    private static void ReadMerges(string path, VocabularyBuilder builder)
    {
        string[] lines = JsonText.ReadAllText(path).Split('\n');
        int count = lines.Length;
        while (count > 0 && lines[count - 1].Trim('\r').Length == 0)
        {
            count--;
        }

        // GPT-2 has its version there, tinypython_2k another comment. tiktoken skips the line whatever it is; a line that is no comment is
        // read as a merge here, and the other file shows whether that is right.
        for (int line = lines[0].StartsWith('#') ? 1 : 0; line < count; line++)
        {
            string where = $"{path}, line {line + 1}";
            string[] parts = lines[line].TrimEnd('\r').Split(' ');
            if (parts.Length != 2)
            {
                throw new BadInputException(
                    $"{where}: has {parts.Length} parts, expected two with one space between. The file is damaged: get it again."
                );
            }

            builder.Merge(parts[0], parts[1], where);
        }
    }
}
