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
    ) => Tokenize(directory, tokenizer, vocabularySize, separateBrackets, progress: null, stop);

    /// <summary>The same, saying how it goes.</summary>
    /// <param name="progress">Called now and then: what is being done, and the share of it that is done.</param>
    /// <inheritdoc cref="Tokenize(string, TextTokenizer, int, bool, CancellationToken)"/>
    internal static DataFolder Tokenize(
        string directory,
        TextTokenizer? tokenizer,
        int vocabularySize,
        bool separateBrackets,
        Action<string, double>? progress,
        CancellationToken stop
    )
    {
        CorpusInfo info = CorpusFolder.ReadInfo(directory);
        tokenizer ??= BytePairTrainer.Train(
            Texts("counting pairs of tokens", CorpusFolder.ReadTrain(directory), info.TrainDocuments),
            vocabularySize,
            separateBrackets,
            stop,
            share => progress?.Invoke("training the tokenizer", share)
        );
        tokenizer.Save(Path.Combine(directory, "tokenizer"));
        Write("train", CorpusFolder.ReadTrain(directory), info.TrainDocuments);
        Write("validation", CorpusFolder.ReadValidation(directory), info.ValidationDocuments);
        return new DataFolder(directory, tokenizer);

        void Write(string split, IEnumerable<string> texts, long count) =>
            TokenFile.Write(
                Path.Combine(directory, split + ".bin"),
                tokenizer,
                Texts($"tokenizing the {(split == "train" ? "training" : split)} text", texts, count)
            );

        IEnumerable<string> Texts(string what, IEnumerable<string> all, long count)
        {
            long done = 0;
            foreach (string text in all)
            {
                stop.ThrowIfCancellationRequested();
                yield return text;
                progress?.Invoke(what, (double)++done / count);
            }
        }
    }
}
