using System.Runtime.InteropServices;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Learns merges: again and again the most frequent neighbouring pair of tokens inside pre-tokens, ties to the lower ids (left, then right).
/// Works on distinct pre-tokens with their counts, and touches only those that hold the pair.
/// </summary>
public static class BytePairTrainer
{
    /// <param name="documents">The texts.</param>
    /// <param name="vocabularySize">Tokens in all: 256 bytes, the merges, and the end-of-text mark; 257 to 65536.</param>
    /// <exception cref="BadInputException">The size is out of range, or the texts have too few repeated pairs for it.</exception>
    public static BytePairTokenizer Train(IEnumerable<string> documents, int vocabularySize = 2048)
    {
        if (vocabularySize is < 257 or > 65_536)
        {
            throw new BadInputException($"The vocabulary is {vocabularySize}, but must be 257 to 65536 tokens.");
        }

        List<Word> words = CountWords(documents);
        var pairs = new PairIndex(words);
        var merges = new List<(int Left, int Right)>();
        while (merges.Count < vocabularySize - 257)
        {
            if (pairs.TakeMostFrequent() is not { } pair)
            {
                throw new BadInputException(
                    $"A vocabulary of {vocabularySize} is larger than the text supports: no pair of tokens occurs twice after {257 + merges.Count}. Ask for at most that, or give more text.");
            }

            pairs.Merge(pair, 256 + merges.Count);
            merges.Add(pair);
        }

        return new BytePairTokenizer(merges);
    }

    private static List<Word> CountWords(IEnumerable<string> documents)
    {
        int[] idOfByte = new int[256];
        for (int id = 0; id < 256; id++)
        {
            idOfByte[ByteAlphabet.Order[id]] = id;
        }

        // Keys are bytes as Latin-1 text, so that looking one up allocates nothing.
        var counts = new Dictionary<string, long>();
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> bySpan = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        var key = new char[256];
        foreach (string document in documents)
        {
            ReadOnlySpan<byte> text = Encoding.UTF8.GetBytes(document);
            while (text.Length > 0)
            {
                int length = PreTokenizer.FirstLength(text);
                key = length <= key.Length ? key : new char[2 * length];
                Encoding.Latin1.GetChars(text[..length], key);
                CollectionsMarshal.GetValueRefOrAddDefault(bySpan, key.AsSpan(0, length), out _)++;
                text = text[length..];
            }
        }

        return [.. counts.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => new Word([.. pair.Key.Select(c => idOfByte[c])], pair.Value))];
    }

    private sealed class Word(List<int> tokens, long count)
    {
        public List<int> Tokens { get; } = tokens;

        public long Count { get; } = count;
    }

    /// <summary>How often each pair occurs, where, and which is the most frequent.</summary>
    private sealed class PairIndex
    {
        private readonly List<Word> _words;
        private readonly Dictionary<(int Left, int Right), long> _counts = [];
        private readonly Dictionary<(int Left, int Right), HashSet<int>> _places = [];

        // May hold pairs with counts of the past: they are put back with the present one when they come up.
        private readonly PriorityQueue<(int Left, int Right), (long MinusCount, int Left, int Right)> _queue = new();

        public PairIndex(List<Word> words)
        {
            _words = words;
            var changed = new HashSet<(int Left, int Right)>();
            for (int word = 0; word < words.Count; word++)
            {
                Add(word, changed);
            }

            Enqueue(changed);
        }

        /// <summary>Null when no pair occurs twice.</summary>
        public (int Left, int Right)? TakeMostFrequent()
        {
            while (_queue.TryDequeue(out (int Left, int Right) pair, out (long MinusCount, int, int) priority))
            {
                long count = _counts.GetValueOrDefault(pair);
                if (count == -priority.MinusCount)
                {
                    return count >= 2 ? pair : null;
                }
            }

            return null;
        }

        public void Merge((int Left, int Right) pair, int id)
        {
            var changed = new HashSet<(int Left, int Right)>();
            foreach (int word in _places[pair].ToArray())
            {
                Remove(word, changed);
                List<int> tokens = _words[word].Tokens;
                int kept = 0;
                for (int i = 0; i < tokens.Count; i++)
                {
                    bool joins = i + 1 < tokens.Count && tokens[i] == pair.Left && tokens[i + 1] == pair.Right;
                    tokens[kept++] = joins ? id : tokens[i];
                    i += joins ? 1 : 0;
                }

                tokens.RemoveRange(kept, tokens.Count - kept);
                Add(word, changed);
            }

            Enqueue(changed);
        }

        private void Add(int word, HashSet<(int Left, int Right)> changed)
        {
            List<int> tokens = _words[word].Tokens;
            for (int i = 0; i + 1 < tokens.Count; i++)
            {
                (int, int) pair = (tokens[i], tokens[i + 1]);
                CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += _words[word].Count;
                (CollectionsMarshal.GetValueRefOrAddDefault(_places, pair, out _) ??= []).Add(word);
                changed.Add(pair);
            }
        }

        private void Remove(int word, HashSet<(int Left, int Right)> changed)
        {
            List<int> tokens = _words[word].Tokens;
            for (int i = 0; i + 1 < tokens.Count; i++)
            {
                (int, int) pair = (tokens[i], tokens[i + 1]);
                CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) -= _words[word].Count;
                _places[pair].Remove(word);
                changed.Add(pair);
            }
        }

        private void Enqueue(HashSet<(int Left, int Right)> pairs)
        {
            foreach ((int Left, int Right) pair in pairs)
            {
                if (_counts[pair] > 0)
                {
                    _queue.Enqueue(pair, (-_counts[pair], pair.Left, pair.Right));
                }
            }
        }
    }
}
