using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Sparsity.Core.Corpora;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Data;

/// <summary>What models are trained on: text/ (the corpus), tokenizer/, and its tokens in train.bin and validation.bin.</summary>
public sealed class DataFolder
{
    private DataFolder(string directory, TextTokenizer tokenizer)
    {
        Directory = directory;
        Tokenizer = tokenizer;
    }

    public string Directory { get; }

    public TextTokenizer Tokenizer { get; }

    /// <summary>The training stream; documents end in the end-of-text token.</summary>
    public ReadOnlyMemory<ushort> Training => TokenFile.Open(Path.Combine(Directory, "train.bin"), Tokenizer).Tokens;

    /// <summary>The validation stream.</summary>
    public ReadOnlyMemory<ushort> Validation => TokenFile.Open(Path.Combine(Directory, "validation.bin"), Tokenizer).Tokens;

    /// <summary>SHA-256 of the tokens of both streams: what a run that goes on elsewhere is checked by.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ReadOnlyMemory<ushort> tokens in new[] { Training, Validation })
        {
            hash.AppendData(BitConverter.GetBytes((long)tokens.Length));
            for (ReadOnlySpan<ushort> rest = tokens.Span; !rest.IsEmpty; )
            {
                // In parts, because a span of bytes cannot be longer than 2 GiB.
                ReadOnlySpan<ushort> part = rest[..Math.Min(rest.Length, 1 << 24)];
                hash.AppendData(MemoryMarshal.AsBytes(part));
                rest = rest[part.Length..];
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <exception cref="BadInputException">It is not such a folder, or a file is damaged.</exception>
    public static DataFolder Open(string directory)
    {
        if (!System.IO.Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: no such data folder. Give the right one, or make one with 'sparsity corpus'.");
        }

        return new DataFolder(directory, TokenizerFolder.Load(Path.Combine(directory, "tokenizer")));
    }

    /// <summary>Makes tokenizer and tokens from the text that is there already.</summary>
    /// <param name="directory">A corpus folder.</param>
    /// <param name="tokenizer">The one to use; null trains one on the training text.</param>
    /// <param name="vocabularySize">Of the one to train.</param>
    /// <param name="separateBrackets">Of the one to train: whether opening brackets and quotes are tokens of their own.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public static DataFolder Tokenize(
        string directory,
        TextTokenizer? tokenizer,
        int vocabularySize,
        bool separateBrackets = false,
        CancellationToken stop = default
    )
    {
        tokenizer ??= BytePairTrainer.Train(Texts(CorpusFolder.ReadTrain(directory)), vocabularySize, separateBrackets, stop);
        tokenizer.Save(Path.Combine(directory, "tokenizer"));
        TokenFile.Write(Path.Combine(directory, "train.bin"), tokenizer, Texts(CorpusFolder.ReadTrain(directory)));
        TokenFile.Write(Path.Combine(directory, "validation.bin"), tokenizer, Texts(CorpusFolder.ReadValidation(directory)));
        return new DataFolder(directory, tokenizer);

        IEnumerable<string> Texts(IEnumerable<string> all)
        {
            foreach (string text in all)
            {
                stop.ThrowIfCancellationRequested();
                yield return text;
            }
        }
    }
}
