using Sparsity.Core.Model;
using Sparsity.Core.Tracing;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Tracing;

public sealed class InterventionsTests : IDisposable
{
    private const float Step = 0.02f;

    // A loss near 3 in float32 sums to about 1e-7, which the step turns into 1e-5; and differences over a step are off by a sixth of its
    // square.
    private const double DerivativeTolerance = 5e-5;
    private const double RelativeTolerance = 3e-4;

    private static readonly ModelConfig Config = TinyModels.Config with { Afrac = null };

    private static readonly int[] Tokens = new RandomArrays(3).Tokens(2, 7, Config.VocabSize).Cast<int>().ToArray();

    private readonly CpuEngine _engine = new(2);
    private readonly ModelParameters _parameters;

    public InterventionsTests() => _parameters = TinyModels.Random(_engine, Config, 8);

    public void Dispose()
    {
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [InlineData("0.resid_in")]
    [InlineData("0.attn.act_in")]
    [InlineData("1.attn.y")]
    [InlineData("1.mlp.post_act")]
    [InlineData("final_resid")]
    public void ASetChannelHoldsItsValueAndTheLossFollowsItsGradient(string name)
    {
        var site = Site.Parse(name, Config);
        const int Channel = 5;
        ActivationTrace trace = With(interventions => interventions.Set(site, [Channel], 0.75f), gradients: true);
        Assert.All(OfChannel(trace.Activations[site], site, Channel), value => Assert.Equal(0.75f, value));

        double up = With(interventions => interventions.Set(site, [Channel], 0.75f + Step)).Loss!.Value;
        double down = With(interventions => interventions.Set(site, [Channel], 0.75f - Step)).Loss!.Value;
        double derivative = OfChannel(trace.Gradients[site], site, Channel).Sum(value => (double)value);
        Assert.Equal((up - down) / (2 * Step), derivative, DerivativeTolerance + (RelativeTolerance * Math.Abs(derivative)));
        Assert.True(Math.Abs(derivative) > 10 * DerivativeTolerance, $"The derivative {derivative} is too small to tell.");
    }

    [Fact]
    public void AScaledChannelsGradientIsThatOfTheFactor()
    {
        var site = new Site(0, SiteKind.MlpPostAct);
        float[] plain = With(_ => { }).Activations[site];
        ActivationTrace trace = With(interventions => interventions.Scale(site, [3], 0.5f), gradients: true);
        float[] expected = [.. OfChannel(plain, site, 3).Select(value => value * 0.5f)];
        Assert.Equal(expected, OfChannel(trace.Activations[site], site, 3));
        double derivative = OfChannel(trace.Gradients[site], site, 3)
            .Zip(OfChannel(plain, site, 3), (gradient, value) => (double)gradient * value)
            .Sum();
        double up = With(interventions => interventions.Scale(site, [3], 0.5f + Step)).Loss!.Value;
        double down = With(interventions => interventions.Scale(site, [3], 0.5f - Step)).Loss!.Value;
        Assert.Equal((up - down) / (2 * Step), derivative, DerivativeTolerance + (RelativeTolerance * Math.Abs(derivative)));
    }

    /// <summary>The way back through the heads starts from what they gave, not from what was made of it.</summary>
    [Theory]
    [InlineData("1.attn.q")]
    [InlineData("1.attn.k")]
    [InlineData("1.attn.v")]
    public void TheLossFollowsItsGradientThroughHeadsWhoseOutputIsScaled(string name)
    {
        var site = Site.Parse(name, Config);
        int[] all = [.. Enumerable.Range(0, Config.ChannelsAt(SiteKind.AttnY))];
        ActivationTrace At(float value, bool gradients = false) =>
            With(
                interventions =>
                {
                    interventions.Scale(new Site(1, SiteKind.AttnY), all, 3);
                    interventions.Set(site, [0], value);
                },
                gradients
            );
        double derivative = OfChannel(At(0.75f, gradients: true).Gradients[site], site, 0).Sum(value => (double)value);
        double slope = (At(0.75f + Step).Loss!.Value - At(0.75f - Step).Loss!.Value) / (2 * Step);
        Assert.Equal(slope, derivative, DerivativeTolerance + (RelativeTolerance * Math.Abs(derivative)));
        Assert.True(Math.Abs(derivative) > 10 * DerivativeTolerance, $"The derivative {derivative} is too small to tell.");
    }

    /// <summary>
    /// Nothing before a set channel has a share in what comes after it: with all of one sublayer's output set, its input gets no gradient.
    /// </summary>
    [Fact]
    public void NoGradientPassesASetChannel()
    {
        int[] all = [.. Enumerable.Range(0, Config.DModel)];
        ActivationTrace trace = With(interventions => interventions.Set(new Site(1, SiteKind.MlpResidDelta), all, 0.1f), gradients: true);
        Assert.All(trace.Gradients[new Site(1, SiteKind.MlpPostAct)], gradient => Assert.Equal(0, gradient));
        Assert.Contains(trace.Gradients[new Site(1, SiteKind.MlpResidDelta)], gradient => gradient != 0);
    }

    [Fact]
    public void AFactorOfOneChangesNothing()
    {
        var site = new Site(1, SiteKind.AttnQ);
        ActivationTrace same = With(interventions => interventions.Scale(site, [0, 1, 2], 1));
        Assert.Equal(With(_ => { }).Logits, same.Logits);
        Assert.NotEqual(With(interventions => interventions.Scale(site, [0, 1, 2], 2)).Logits, same.Logits);
    }

    [Fact]
    public void TextIsRead()
    {
        (Site site, IReadOnlyList<int> channels, float number) = Interventions.ParseAssignment("1.mlp.post_act:12=-0.5", Config);
        Assert.Equal((new Site(1, SiteKind.MlpPostAct), -0.5f), (site, number));
        Assert.Equal([12], channels);
        Assert.Equal(Enumerable.Range(0, Config.DModel), Interventions.ParseChannels("final_resid:*", Config).Channels);
    }

    [Theory]
    [InlineData("1.mlp.post_act:12")]
    [InlineData("1.mlp.post_act=3")]
    [InlineData("1.mlp.post_act:40=3")]
    [InlineData("1.mlp.post_act:-1=3")]
    [InlineData("1.mlp.post_act:x=3")]
    [InlineData("2.mlp.post_act:1=3")]
    [InlineData("1.mlp.post_act:1=NaN")]
    [InlineData("1.mlp.post_act:1=three")]
    public void OtherTextIsRefused(string text) => Assert.Throws<BadInputException>(() => Interventions.ParseAssignment(text, Config));

    [Fact]
    public void TwoChangesOfOneChannelAreRefused() =>
        Assert.Contains(
            "1.attn.q:2",
            Assert
                .Throws<BadInputException>(() =>
                    With(interventions =>
                    {
                        interventions.Set(new Site(1, SiteKind.AttnQ), [1, 2], 0);
                        interventions.Scale(new Site(1, SiteKind.AttnQ), [2], 0.5f);
                    })
                )
                .Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("*.attn.q", "0.attn.q 1.attn.q")]
    [InlineData("final_resid, 1.resid_*", "1.resid_in 1.resid_mid final_resid")]
    [InlineData("?.mlp.act_in", "0.mlp.act_in 1.mlp.act_in")]
    public void PatternsNameSites(string patterns, string expected) =>
        Assert.Equal(expected, string.Join(' ', SitePatterns.Match(patterns, Config).Order()));

    [Fact]
    public void APatternOfNoSiteIsRefused() =>
        Assert.Contains(
            "'*.attn.x'",
            Assert.Throws<BadInputException>(() => SitePatterns.Match("*.attn.q,*.attn.x", Config)).Message,
            StringComparison.Ordinal
        );

    private ActivationTrace With(Action<Interventions> add, bool gradients = false)
    {
        using var interventions = new Interventions(_engine, Config);
        add(interventions);
        return ActivationTrace.Run(new Transformer(_parameters), Tokens, 2, _ => true, interventions, gradients);
    }

    private static IEnumerable<float> OfChannel(float[] values, Site site, int channel) =>
        values.Where((_, i) => i % Config.ChannelsAt(site.Kind) == channel);
}
