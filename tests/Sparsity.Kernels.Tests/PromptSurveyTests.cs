using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels.Tests;

public class PromptSurveyTests
{
    private static readonly TokenizedPair[] Pairs =
    [
        new([1, 2, 3, 4, 5], [6, 7, 8], 9, 10),
        new([11, 12], [13, 14, 15, 16, 17, 18, 19], 9, 10),
    ];

    /// <summary>Weights on the values must add up to what the engine's attention puts out.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void PatternsTimesValuesAreTheHeadsOutput(bool sink)
    {
        using IComputeEngine engine = new CpuEngine(1);
        ModelConfig config = TinyModels.Config with { Sink = sink };
        using ModelParameters parameters = TinyModels.Random(engine, config, 3);
        var model = new Transformer(parameters);
        Node[] values =
        [
            .. Enumerable.Range(0, config.AttentionChannels).Select(channel => new Node(new Site(1, SiteKind.AttnV), channel)),
        ];
        var outputs = new ActivationRecorder(engine, site => site.Kind == SiteKind.AttnY);
        using ForwardState state = model.CreateForwardState(1, 7);
        state.Hooks.Add(outputs);
        engine.Write(state.TokenIds, Pairs[1].Second);
        model.Forward(state);

        PromptSurvey survey = PromptSurvey.Measure(model, values, Pairs);

        float[] expected = outputs.Activations[new Site(1, SiteKind.AttnY)];
        foreach (HeadPatterns head in survey.Heads)
        {
            double[][] pattern = head.Patterns[1][1];
            Assert.Equal(7, pattern.Length);
            for (int t = 0; t < 7; t++)
            {
                for (int channel = head.Head * config.DHead; channel < (head.Head + 1) * config.DHead; channel++)
                {
                    double[] v = survey.Activations[values[channel]][1][1];
                    double sum = pattern[t].Select((weight, s) => weight * v[s]).Sum();
                    Assert.Equal(expected[(t * config.AttentionChannels) + channel], sum, 0.003); // four digits of each factor
                }
            }
        }

        Assert.Equal([(1, 0), (1, 1)], survey.Heads.Select(head => (head.Layer, head.Head)));
        Assert.All(survey.Heads, head => Assert.Equal(sink, head.Patterns[0][0][0][0] < 0.999)); // the first token has nowhere else to look
    }

    [Fact]
    public void ActivationsAreThoseOfThePromptsTokens()
    {
        using IComputeEngine engine = new CpuEngine(1);
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
        var model = new Transformer(parameters);
        var node = new Node(new Site(0, SiteKind.MlpPostAct), 5);
        var recorder = new ActivationRecorder(engine, site => site == node.Site);
        using ForwardState state = model.CreateForwardState(1, 5);
        state.Hooks.Add(recorder);
        engine.Write(state.TokenIds, Pairs[0].First);
        model.Forward(state);
        float[] all = recorder.Activations[node.Site];

        PromptSurvey survey = PromptSurvey.Measure(model, [node], Pairs);

        double[][] first = survey.Activations[node][0];
        Assert.Equal([5, 3], first.Select(values => values.Length));
        Assert.All(first[0], (value, t) => Assert.Equal(all[(t * TinyModels.Config.DMlp) + 5], value, 1e-3 * (1 + Math.Abs(value))));
        Assert.Empty(survey.Heads);
    }

    /// <summary>The first pair has 15 + 6 weights, the second 3 + 28.</summary>
    [Theory]
    [InlineData(0, 1)]
    [InlineData(51, 1)]
    [InlineData(52, 2)]
    public void PatternsAreGivenForAsManyPairsAsThereIsRoomFor(long mostWeights, int pairs)
    {
        using IComputeEngine engine = new CpuEngine(1);
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
        var node = new Node(new Site(0, SiteKind.AttnQ), 0);

        PromptSurvey survey = PromptSurvey.Measure(new Transformer(parameters), [node], Pairs, mostWeights);

        Assert.Equal(pairs, Assert.Single(survey.Heads).Patterns.Count);
        Assert.Equal(2, survey.Activations[node].Count);
    }
}
