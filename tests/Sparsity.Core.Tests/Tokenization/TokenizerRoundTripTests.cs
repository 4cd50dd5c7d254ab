using System.Text;
using System.Text.RegularExpressions;
using Sparsity.Core.Tests.Corpora;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tokenization;

public class TokenizerRoundTripTests
{
    private static readonly BytePairTokenizer Tokenizer = SyntheticTokenizers.Large;

    [Fact]
    public void RandomBytesComeBack()
    {
        var random = new RandomSource(17);
        for (int round = 0; round < 2000; round++)
        {
            // Half of the rounds draw from a few bytes, so that merges happen and characters are cut in two.
            byte[] alphabet =
                round % 2 == 0
                    ? [.. Enumerable.Range(0, 256).Select(b => (byte)b)]
                    : [.. "  \n\r\tab1'("u8, 0xc3, 0xa9, 0xe2, 0x80, 0xa8, 0xf0, 0x9f];
            byte[] bytes = [.. Enumerable.Range(0, random.NextInt(200)).Select(_ => alphabet[random.NextInt(alphabet.Length)])];
            var ids = new List<int>();
            Tokenizer.Encode(bytes, ids);

            Assert.Equal(bytes, Tokenizer.Decode([.. ids]));
            Assert.DoesNotContain(Tokenizer.EndOfText, ids);
        }
    }

    [Fact]
    public void PiecesAreThoseOfTheRegularExpression()
    {
        var pattern = new Regex(PreTokenScanner.Pattern, RegexOptions.CultureInvariant);
        var random = new RandomSource(18);
        string[] parts =
        [
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "a",
            "Zé",
            "ß",
            "1",
            "٣",
            "23",
            "½",
            ".",
            "//",
            "(",
            "'",
            "\u00a0",
            "\u2028",
            "日本",
            "\u0301",
            "_",
            "\v",
            "x",
            "-",
            "\u0085",
        ];
        for (int round = 0; round < 5000; round++)
        {
            string text = string.Concat(Enumerable.Range(0, 1 + random.NextInt(12)).Select(_ => parts[random.NextInt(parts.Length)]));
            byte[] utf8 = Encoding.UTF8.GetBytes(text);
            var pieces = new List<string>();
            for (int at = 0; at < utf8.Length; )
            {
                int length = PreTokenScanner.NextLength(utf8.AsSpan(at));
                pieces.Add(Encoding.UTF8.GetString(utf8, at, length));
                at += length;
            }

            Assert.Equal(pattern.Matches(text).Select(match => match.Value), pieces);
        }
    }

    /// <summary>Python's own library: some ten megabytes of real code in many styles, and of texts that are no UTF-8.</summary>
    [PythonFact]
    public void RealCodeComesBack()
    {
        string library = PythonFactAttribute.Run("import sysconfig; print(sysconfig.get_path('stdlib'))").Output.Trim();
        string[] files =
        [
            .. Directory
                .EnumerateFiles(library, "*.py", SearchOption.AllDirectories)
                .Where(path => !path.Contains("site-packages", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        var ids = new List<int>();
        long bytes = 0;
        foreach (string file in files)
        {
            byte[] text = File.ReadAllBytes(file);
            ids.Clear();
            Tokenizer.Encode(text, ids);
            Assert.True(text.AsSpan().SequenceEqual(Tokenizer.Decode(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(ids))), file);
            bytes += text.Length;
            if (bytes > 10_000_000)
            {
                break;
            }
        }

        Assert.True(bytes > 1_000_000, $"{library} has only {bytes} bytes of .py files.");
    }
}
