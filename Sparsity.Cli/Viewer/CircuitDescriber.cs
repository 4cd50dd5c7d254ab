using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Viewer;

/// <summary>A circuit with what its model adds: its shape, which tokens write its channels, how channels reach the answers' logits.</summary>
internal sealed class CircuitDescriber(ModelShelf models)
{
    private const int TokensPerEnd = 20;
    private const int PairsForAnswers = 64;

    public CircuitDocument Describe(CircuitFile file)
    {
        Circuit circuit = file.Load();
        if (models.Find(circuit, file) is not { } run)
        {
            return new CircuitDocument(circuit, [], null, null, null);
        }

        var weights = new TokenWeights(run.Model.Parameters);
        int[] channels = [.. circuit.Nodes.Select(node => run.Layout.Parse(node.Name))
            .Where(node => node.Site.Kind.IsResidual() && node.Channel < run.Model.Config.DModel)
            .Select(node => node.Channel).Distinct().Order()];
        return new CircuitDocument(
            circuit,
            [],
            new ModelShape(run.Model.Config.NLayer, run.Model.Config.NHead, run.Model.Config.DHead, run.Model.Config.DModel),
            FindReadout(circuit, run, weights, channels),
            channels.ToDictionary(channel => channel.ToString(CultureInfo.InvariantCulture), channel => Ends(weights.Writers(channel), run)));
    }

    /// <summary>The task's most common pair of answers and the weights with which channels reach their logits; null for a task that is not in the catalogue.</summary>
    private static Readout? FindReadout(Circuit circuit, ShelvedModel run, TokenWeights weights, int[] channels)
    {
        if (TaskCatalogue.All.FirstOrDefault(task => task.Name == circuit.Task) is not { } task
            || !TokenizedTask.TryCreate(task, run.Tokenizer, circuit.Settings.MaxTokens, out TokenizedTask? tokenized, out _))
        {
            return null;
        }

        IReadOnlyList<TokenizedPair> pairs = tokenized.Sample(TaskSplit.Test, circuit.Settings.Seed, PairsForAnswers).Pairs;
        IGrouping<(int A, int B), TokenizedPair> common = pairs.GroupBy(pair => (pair.AnswerA, pair.AnswerB)).MaxBy(group => group.Count())!;
        int[] answers = [common.Key.A, common.Key.B];
        return new Readout(
            [.. answers.Select(token => new Answer(token, run.Tokenizer.Describe(token)))],
            (double)common.Count() / pairs.Count,
            [.. channels.Select(channel => new ChannelReadout(channel, [.. answers.Select(token => weights.Readout(channel, token))]))]);
    }

    private static ChannelTokens Ends(IReadOnlyList<(int Token, float Weight)> writers, ShelvedModel run)
    {
        return new ChannelTokens(List(writers.Take(TokensPerEnd)), List(writers.Reverse().Take(TokensPerEnd)));

        ChannelToken[] List(IEnumerable<(int Token, float Weight)> entries) =>
            [.. entries.Where(entry => entry.Weight != 0).Select(entry => new ChannelToken(run.Tokenizer.Describe(entry.Token), entry.Weight))];
    }
}

/// <param name="Has">Kinds of further documents there are of this circuit.</param>
/// <param name="Model">Null where the model is not found; then there is no readout and no channels either.</param>
/// <param name="Channels">By residual channel: which tokens write it.</param>
internal sealed record CircuitDocument(Circuit Circuit, IReadOnlyList<string> Has, ModelShape? Model, Readout? Readout, IReadOnlyDictionary<string, ChannelTokens>? Channels);

internal sealed record ModelShape(int NLayer, int NHead, int DHead, int DModel);

/// <param name="Share">Share of the task's pairs that have these answers.</param>
internal sealed record Readout(IReadOnlyList<Answer> Answers, double Share, IReadOnlyList<ChannelReadout> Channels);

internal sealed record Answer(int Token, string Text);

internal sealed record ChannelReadout(int Channel, IReadOnlyList<float> Weights);

internal sealed record ChannelTokens(IReadOnlyList<ChannelToken> Top, IReadOnlyList<ChannelToken> Bottom);

internal sealed record ChannelToken(string Token, float Weight);
