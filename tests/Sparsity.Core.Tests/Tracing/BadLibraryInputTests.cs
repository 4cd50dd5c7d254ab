using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Generation;
using Sparsity.Core.Model;
using Sparsity.Core.Tracing;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Tracing;

/// <summary>What users of the library may give: refused by an exception that says what, before an engine sees it.</summary>
public sealed class BadLibraryInputTests : IDisposable
{
    private readonly IComputeEngine _engine = new CpuEngine(1);
    private readonly Transformer _model;

    public BadLibraryInputTests()
    {
        var parameters = new ModelParameters(_engine, ModelConfig.Small(40));
        parameters.Initialise(1);
        _model = new Transformer(parameters);
    }

    public void Dispose()
    {
        _model.Parameters.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [InlineData("token 40 is outside 0 to 39", 1, 1, 40)]
    [InlineData("token -1 is outside 0 to 39", 1, -1)]
    [InlineData("token 99999 is outside 0 to 39", 1, 99999)]
    [InlineData("0 tokens do not make 1 sequences", 1)]
    [InlineData("3 tokens do not make 2 sequences", 2, 1, 2, 3)]
    [InlineData("1 tokens do not make 0 sequences", 0, 1)]
    public void Tokens(string expected, int sequences, params int[] tokens)
    {
        var thrown = Assert.Throws<BadInputException>(() => ActivationTrace.Run(_model, tokens, sequences));

        Assert.Contains(expected, thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MoreTokensThanTheModelReads() =>
        Assert.Contains(
            "of one length from 1 to 64",
            Assert.Throws<BadInputException>(() => ActivationTrace.Run(_model, new int[65])).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void TokensOfTexts()
    {
        using var generator = new TextGenerator(_model);

        Assert.Throws<BadInputException>(() => generator.NextLogits([40]));
        Assert.Throws<BadInputException>(() => generator.NextLogits([]));
        Assert.Throws<BadInputException>(() => generator.Continue([1], 1, new SamplingConfig { TopP = 7 }, 1, 0).ToArray());
    }

    [Fact]
    public void SitesChannelsAndNumbers()
    {
        using var interventions = new Interventions(_engine, _model.Config);
        var queries = new Site(0, SiteKind.AttnQ);

        Assert.Throws<BadInputException>(() => interventions.Set(new Site(9, SiteKind.AttnQ), [1], 5f));
        Assert.Throws<BadInputException>(() => interventions.Set(new Site(-1, SiteKind.AttnQ), [1], 5f));
        Assert.Throws<BadInputException>(() => interventions.Set(queries, [128], 0));
        Assert.Throws<BadInputException>(() => interventions.Set(queries, [-1], 0));
        Assert.Throws<BadInputException>(() => interventions.Set(queries, [1], float.NaN));
        Assert.Throws<BadInputException>(() => interventions.Scale(queries, [1], float.PositiveInfinity));
        Assert.False(interventions.Changes(queries));
    }

    [Fact]
    public void NamesThatAreNotThere()
    {
        ActivationTrace trace = ActivationTrace.Run(_model, [1, 2], isWanted: site => site.Layer == 0);

        Assert.Throws<BadInputException>(() => trace.ActivationsAt(new Site(1, SiteKind.AttnQ), 0).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => trace.LogitsAt(0, sequence: 1).ToArray());
        Assert.Throws<BadInputException>(() => _model.Parameters.Read("nosuch"));
        Assert.False(Node.TryParse(null, out _));
    }

    [Fact]
    public void AModelWhoseMemoryIsGone()
    {
        _model.Parameters.Dispose();

        Assert.Throws<ObjectDisposedException>(() => ActivationTrace.Run(_model, [1]));
    }
}
