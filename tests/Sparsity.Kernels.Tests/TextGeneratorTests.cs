using Sparsity.Core.Engine;
using Sparsity.Core.Generation;
using Sparsity.Core.Model;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Generation with a cache of keys and values against the whole context through the model for every token.</summary>
public class TextGeneratorTests
{
    private const int NoEndOfText = -1;

    /// <summary>A greedy continuation may soon repeat itself; one that is drawn says more.</summary>
    private static readonly SamplingConfig Warm = new() { Temperature = 3, TopP = 1 };

    private static readonly Dictionary<string, ModelConfig> Configurations = new()
    {
        ["the paper's kind"] = TinyModels.Config with { BlockSize = 90 },
        ["LayerNorm, tied, no AbsTopK"] = TinyModels.Config with
        {
            BlockSize = 90,
            RmsNorm = false,
            TiedUnembed = true,
            Afrac = null,
            Sink = false,
            EnableBigramTable = false,
        },
        ["concatenated positions, ReLU residual"] = TinyModels.Config with { BlockSize = 90, DPosEmb = 6, ResidualActivationType = "relu" },
        ["a window that slides"] = TinyModels.Config with { BlockSize = 40 },
    };

    public static TheoryData<string> AllEngines => Engines.All;

    public static TheoryData<string, string> Cases => Engines.With([.. Configurations.Keys]);

    /// <summary>Prompts that go in as one token, as pieces of 64 and 16 with a rest, and that fill the window.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void TokensDoNotDependOnTheCache(string engineName, string name)
    {
        ModelConfig config = Configurations[name].Validated();
        using IComputeEngine engine = Engines.Create(engineName);
        using ModelParameters parameters = TinyModels.Random(engine, config, 21);
        var model = new Transformer(parameters);
        using var cached = new TextGenerator(model);
        using var plain = new TextGenerator(model, useCache: false);
        var tokens = new RandomArrays(6).Tokens(1, 83, config.VocabSize).Cast<int>().ToArray();
        foreach (int promptLength in new[] { 1, 17, 38, 83 })
        {
            int[] prompt = tokens[..promptLength];
            int[] drawn = [.. plain.Continue(prompt, 12, Warm, 1, NoEndOfText)];
            Assert.Equal(drawn, cached.Continue(prompt, 12, Warm, 1, NoEndOfText));
            Assert.True(drawn.Distinct().Count() > 4, $"{name}: {string.Join(' ', drawn)} says little.");
        }
    }

    /// <summary>A sequence that branches off an earlier one, goes back, or has nothing in common with it.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void LogitsDoNotDependOnWhatWasAskedBefore(string engineName)
    {
        // Sums of 16 terms of order 1 in other orders where a weight is dense.
        const double Tolerance = 1e-5;
        using IComputeEngine engine = Engines.Create(engineName);
        using ModelParameters parameters = TinyModels.Random(engine, Configurations["the paper's kind"], 22);
        var model = new Transformer(parameters);
        using var cached = new TextGenerator(model);
        using var plain = new TextGenerator(model, useCache: false);
        foreach (int[] tokens in new int[][] { [3, 4, 5, 6, 7], [3, 4, 5, 6, 7], [3, 4, 5, 9], [3, 4], [8], [8, 4, 5, 6, 7, 7, 7] })
        {
            double[] expected = Array.ConvertAll(plain.NextLogits(tokens).ToArray(), value => (double)value);
            Comparison.CloseRelative(expected, cached.NextLogits(tokens), Tolerance, $"{engineName}: {string.Join(' ', tokens)}");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TheSeedDecidesAndEndOfTextEnds(string engineName)
    {
        using IComputeEngine engine = Engines.Create(engineName);
        using ModelParameters parameters = TinyModels.Random(engine, Configurations["the paper's kind"], 23);
        using var generator = new TextGenerator(new Transformer(parameters));
        int[] first = [.. generator.Continue([1, 2], 30, Warm, 5, NoEndOfText)];
        Assert.Equal(30, first.Length);
        Assert.Equal(first, generator.Continue([1, 2], 30, Warm, 5, NoEndOfText));
        Assert.NotEqual(first, generator.Continue([1, 2], 30, Warm, 6, NoEndOfText));
        int end = Array.IndexOf(first, first[9]);
        Assert.Equal(first[..end], generator.Continue([1, 2], 30, Warm, 5, first[9]));
    }
}
