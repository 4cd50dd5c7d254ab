using System.Text.Json.Nodes;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Makes a <see cref="BytePairTokenizer"/> from the merges of a file: ids 0 to 255 are the bytes, each merge of a new token has the next
/// id. The ids that a file states besides follow from that, and are checked against it; those above are of special tokens.
/// </summary>
internal sealed class VocabularyBuilder
{
    private readonly List<byte[]> _tokens = [];
    private readonly List<(int Left, int Right)> _merges = [];
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _specials = [];

    public VocabularyBuilder()
    {
        for (int id = 0; id < 256; id++)
        {
            _tokens.Add([ByteSymbols.ByteOf(id)]);
            _ids.Add(ByteSymbols.ToText(_tokens[id]), id);
        }
    }

    /// <summary>Adds the token made of two earlier ones.</summary>
    /// <param name="where">For messages.</param>
    /// <param name="isOneOfSeveral">Whether the file lists all pairs that make a token. Pairs that make one again, or of tokens that come
    /// later, add nothing then.</param>
    public void Merge(string left, string right, string where, bool isOneOfSeveral = false)
    {
        string whole = left + right;
        if (whole.Length > BytePairTokenizer.MaximumTokenBytes)
        {
            throw new BadInputException(
                $"{where}: a token of {whole.Length} bytes; at most {BytePairTokenizer.MaximumTokenBytes} are supported."
            );
        }

        if (isOneOfSeveral && (_ids.ContainsKey(whole) || !_ids.ContainsKey(left) || !_ids.ContainsKey(right)))
        {
            return;
        }

        (int Left, int Right) merge = (Part(left, where), Part(right, where));
        if (
            whole == BytePairTokenizer.EndOfTextName
            || !ByteSymbols.TryToBytes(whole, out byte[]? bytes)
            || !_ids.TryAdd(whole, _tokens.Count)
        )
        {
            throw new BadInputException($"{where}: makes a token that exists already. The file is damaged: get it again.");
        }

        _tokens.Add(bytes);
        _merges.Add(merge);
    }

    /// <summary>Checks an object of ids by token. What no merges could make is a special token; the end of text may be left out.</summary>
    /// <param name="path">For messages.</param>
    /// <param name="merges">What the merges came from, for messages.</param>
    public void CheckIds(JsonObject vocabulary, string path, string merges)
    {
        var tokenOfId = new Dictionary<int, string>();
        foreach ((string token, JsonNode? value) in vocabulary)
        {
            string where = $"{path}: '{Shorten(token)}'";
            if (value is not JsonValue number || !number.TryGetValue(out int id) || id < 0)
            {
                throw new BadInputException($"{where} has no id that is a whole number from 0. The file is damaged: get it again.");
            }

            if (!tokenOfId.TryAdd(id, token))
            {
                throw new BadInputException(
                    $"{where} has id {id}, which '{Shorten(tokenOfId[id])}' has too. The file is damaged: get it again."
                );
            }

            if (!_ids.TryGetValue(token, out int right))
            {
                AddSpecial(token, id, path, merges);
            }
            else if (id != right)
            {
                throw new BadInputException(
                    $"{where} has id {id}, but by {merges} it is {right}: first the 256 bytes, then the merges, then the special tokens. "
                        + "Take both from the same tokenizer."
                );
            }
        }

        foreach ((string token, int id) in _ids)
        {
            if (!tokenOfId.ContainsKey(id))
            {
                throw new BadInputException(
                    $"{path}: no token has id {id}; by {merges} it is '{Shorten(token)}'. Take both from the same tokenizer."
                );
            }
        }
    }

    /// <summary>Adds a special token; once more if it has the same id.</summary>
    /// <exception cref="BadInputException">
    /// The id is not above those of the merges or has another token, or the name could be one that a merge is missing for.
    /// </exception>
    public void AddSpecial(string name, int id, string path, string merges)
    {
        string where = $"{path}: '{Shorten(name)}'";
        if (name.Length is 0 or > BytePairTokenizer.MaximumTokenBytes)
        {
            throw new BadInputException(
                $"{where}: a special token has 1 to {BytePairTokenizer.MaximumTokenBytes} characters. The file is damaged: get it again."
            );
        }

        if (_ids.ContainsKey(name) || !LooksSpecial(name))
        {
            string fault = _ids.ContainsKey(name) ? "a token of text, and special too" : $"no byte and nothing in {merges} makes it";
            throw new BadInputException($"{where} is {fault}. Take both from the same tokenizer.");
        }

        if (id < _tokens.Count || id >= BytePairTrainer.MaximumVocabulary)
        {
            throw new BadInputException(
                $"{where} has id {id}, but special tokens come after the 256 bytes and the merges: {_tokens.Count} to "
                    + $"{BytePairTrainer.MaximumVocabulary - 1}. Take both from the same tokenizer."
            );
        }

        if (!_specials.TryAdd(id, name) && _specials[id] != name)
        {
            throw new BadInputException(
                $"{where} has id {id}, which '{Shorten(_specials[id])}' has too. The file is damaged: get it again."
            );
        }

        if (_specials.Any(special => special.Value == name && special.Key != id))
        {
            throw new BadInputException($"{where} has two ids. The file is damaged: get it again.");
        }
    }

    public BytePairTokenizer Build() => new([.. _tokens], [.. _merges], _specials);

    /// <summary>Names in brackets, and what cannot be cut into two tokens, as everything that a merge makes can.</summary>
    private bool LooksSpecial(string name) =>
        (name[0], name[^1]) is ('<', '>') or ('[', ']')
        || !Enumerable.Range(1, name.Length - 1).Any(cut => _ids.ContainsKey(name[..cut]) && _ids.ContainsKey(name[cut..]));

    private int Part(string part, string where) =>
        _ids.TryGetValue(part, out int id)
            ? id
            : throw new BadInputException(
                $"{where}: '{Shorten(part)}' is no single byte and nothing before makes it. The file is damaged: get it again."
            );

    private static string Shorten(string text) =>
        string.Concat(
            (text.Length <= 40 ? text : text[..40] + "...").Select(c =>
                char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029' ? '?' : c
            )
        );
}
