using System.Text;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tokenization;

public class SeparateBracketsTests
{
    private const string Rows = "rows = [[1, 2], [3, 4]]\nlog(\"a\")\nlog('a')\n";

    /// <summary>Of two tokenizers of the same text and size, one without the setting has all the tokens that the setting forbids.</summary>
    [Fact]
    public void OpeningBracketsAndQuotesAreTokensOfTheirOwn()
    {
        string[] joined = [" [[", "(\"", "('", "):\n"];
        BytePairTokenizer usual = BytePairTrainer.Train(Texts(), 400);
        BytePairTokenizer separate = BytePairTrainer.Train(Texts(), 400, separateBrackets: true);

        Assert.All(joined, text => Assert.True(usual.TryGetSingleToken(text, out _), text));
        Assert.All(joined, text => Assert.False(separate.TryGetSingleToken(text, out _), text));
        Assert.All(new[] { " [", "]]", "],", "\")", "')" }, text => Assert.True(separate.TryGetSingleToken(text, out _), text));
        Assert.Equal([" [", "[", "1", ",", " "], separate.Encode(" [[1, 2").Take(5).Select(token => separate.DecodeText([token])));
        Assert.Equal((false, true), (usual.HasSeparateBrackets, separate.HasSeparateBrackets));
        Assert.Equal(Rows, separate.DecodeText(separate.Encode(Rows)));

        static string[] Texts() => [.. SyntheticTokenizers.Corpus.Take(200), .. Enumerable.Repeat(Rows, 100)];
    }

    [Fact]
    public void NoTokenOfTheDemosTokenizerJoinsABracketOrQuoteWithOtherText()
    {
        BytePairTokenizer tokenizer = SyntheticTokenizers.Small;
        string[] tokens = [.. Enumerable.Range(0, tokenizer.EndOfText).Select(id => Encoding.Latin1.GetString(tokenizer.Decode([id])))];

        Assert.All(
            tokens.Where(token => token.IndexOfAny(['(', ')', '[', ']', '{', '}', '"', '\'', '`']) >= 0),
            token => Assert.Matches("""^( ?[()\[\]{}"'`]|["'`]?[)\]}]+,?)\z""", token)
        );
        Assert.Equal(512, tokenizer.VocabularySize);
        Assert.Contains("]]", tokens);
    }
}
