using System.Security.Cryptography;
using MicrosoftTokenizers = Microsoft.ML.Tokenizers;

namespace Sparsity.Core.Tokenization;

/// <summary>A SentencePiece model, BPE or unigram, from its own file; read and run by Microsoft.ML.Tokenizers.</summary>
internal sealed class SentencePieceTokenizer : TextTokenizer
{
    internal const string FileName = "tokenizer.model";

    /// <summary>What SentencePiece writes for a space.</summary>
    private const char Space = '\u2581';

    private readonly byte[] _file;
    private readonly MicrosoftTokenizers.SentencePieceTokenizer _pieces;
    private readonly string[] _tokens;

    private SentencePieceTokenizer(string path, byte[] file)
    {
        _file = file;
        try
        {
            _pieces = MicrosoftTokenizers.SentencePieceTokenizer.Create(
                new MemoryStream(file),
                addBeginningOfSentence: false,
                addEndOfSentence: false
            );
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The library's protobuf reader says of a damaged file whatever it happens to trip over.
            throw new BadInputException(
                $"{path}: is no SentencePiece model that can be read ({e.Message.ReplaceLineEndings(" ")}). Get it again.",
                e
            );
        }

        int size = _pieces.Vocabulary.Count == 0 ? 0 : _pieces.Vocabulary.Values.Max() + 1;
        TokenizerFolder.RequireSize(path, size);
        _tokens = new string[size];
        foreach ((string token, int id) in _pieces.Vocabulary)
        {
            _tokens[id] = token;
        }

        EndOfText = _pieces.EndOfSentenceId;
        if ((uint)EndOfText >= (uint)size)
        {
            throw new BadInputException(
                $"{path}: has no token for the end of a sentence, which separates documents. Use a model with " + "eos_id."
            );
        }

        Fingerprint = Convert.ToHexStringLower(SHA256.HashData(file));
    }

    public override int VocabularySize => _tokens.Length;

    public override int EndOfText { get; }

    public override string Fingerprint { get; }

    /// <exception cref="BadInputException">The file is damaged, has too many tokens, or no end of sentence.</exception>
    public static SentencePieceTokenizer Load(string path) => new(path, TokenizerFolder.Read(path));

    public override bool IsToken(int id) => (uint)id < (uint)_tokens.Length && _tokens[id] is not null;

    public override int[] Encode(string text)
    {
        var ids = new List<int>();
        IReadOnlyList<int> pieces = Pieces(text);
        if (pieces.Count == 0 && !string.IsNullOrWhiteSpace(text))
        {
            // Of a text of one character the library's BPE makes nothing. Twice with a space between, it makes the same tokens twice.
            pieces = Pieces($"{text} {text}");
            pieces = [.. pieces.Take(pieces.Count / 2)];
        }

        foreach (int id in pieces)
        {
            // SentencePiece itself makes one unknown token of neighbouring unknown characters; the library makes one of each.
            if (id != _pieces.UnknownId || ids.Count == 0 || ids[^1] != id)
            {
                ids.Add(id);
            }
        }

        return [.. ids];
    }

    private IReadOnlyList<int> Pieces(string text) => _pieces.EncodeToIds(text, addBeginningOfSentence: false, addEndOfSentence: false);

    public override string DecodeText(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
        {
            RequireKnown(id);
        }

        return _pieces.Decode(ids.ToArray(), considerSpecialTokens: true) ?? "";
    }

    public override string Describe(int id)
    {
        if (!IsToken(id))
        {
            return Unknown(id);
        }

        string token = _tokens[id];
        return id == EndOfText || id == _pieces.BeginningOfSentenceId || id == _pieces.UnknownId
            ? token
            : Quoted(token.Replace(Space, ' '));
    }

    public override void Save(string directory, TokenizerFormat format = TokenizerFormat.Gpt2) =>
        TokenizerFolder.Write(directory, FileName, _file);
}
