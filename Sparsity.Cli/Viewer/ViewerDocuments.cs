using System.Globalization;
using System.Text.Json;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Viewer;

/// <summary>What the page asks for, as JSON by path: "run" for the list of circuits, "circuit/ID" for one of them. A page in a file holds them all, a server sends them.</summary>
internal sealed class ViewerDocuments
{
    private const int TokensPerEnd = 20;
    private const int PairsForAnswers = 64;

    private readonly string _title;
    private readonly Dictionary<string, CircuitFile> _circuits;
    private readonly ModelShelf _models;
    private readonly IReadOnlyDictionary<string, string> _labels;

    public ViewerDocuments(string title, IReadOnlyList<CircuitFile> circuits, ModelShelf models, IReadOnlyDictionary<string, string> labels)
    {
        _title = title;
        _circuits = circuits.ToDictionary(circuit => circuit.Id);
        _models = models;
        _labels = labels;
        Circuits = circuits;
    }

    public IReadOnlyList<CircuitFile> Circuits { get; }

    /// <summary>Every path that has a document.</summary>
    public IEnumerable<string> Paths => ["run", .. Circuits.Select(circuit => "circuit/" + circuit.Id)];

    /// <summary>The document of a path on one line; null if there is none.</summary>
    /// <exception cref="BadInputException">A file has become unreadable.</exception>
    public string? Find(string path)
    {
        if (path == "run")
        {
            return Json(new RunDocument(_title, [.. Circuits.Select(circuit => circuit.Summary)], _labels));
        }

        const string Prefix = "circuit/";
        return path.StartsWith(Prefix, StringComparison.Ordinal) && _circuits.TryGetValue(path[Prefix.Length..], out CircuitFile? file) ? Json(Describe(file)) : null;
    }

    private static string Json<T>(T document) => JsonSerializer.Serialize(document, JsonText.OneLine);

    private CircuitDocument Describe(CircuitFile file)
    {
        Circuit circuit = file.Load();
        if (_models.Find(circuit, file) is not { } run)
        {
            return new CircuitDocument(circuit, null, null, null);
        }

        var weights = new TokenWeights(run.Model.Parameters);
        int[] channels = [.. circuit.Nodes.Select(node => run.Layout.Parse(node.Name))
            .Where(node => node.Site.Kind.IsResidual() && node.Channel < run.Model.Config.DModel)
            .Select(node => node.Channel).Distinct().Order()];
        return new CircuitDocument(
            circuit,
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

        TokenWeight[] List(IEnumerable<(int Token, float Weight)> entries) =>
            [.. entries.Where(entry => entry.Weight != 0).Select(entry => new TokenWeight(run.Tokenizer.Describe(entry.Token), entry.Weight))];
    }

    private sealed record RunDocument(string Title, IReadOnlyList<CircuitSummary> Circuits, IReadOnlyDictionary<string, string> Labels);

    /// <param name="Model">Null where the model is not found; then there is no readout and no channels either.</param>
    /// <param name="Channels">By residual channel: which tokens write it.</param>
    private sealed record CircuitDocument(Circuit Circuit, ModelShape? Model, Readout? Readout, IReadOnlyDictionary<string, ChannelTokens>? Channels);

    private sealed record ModelShape(int NLayer, int NHead, int DHead, int DModel);

    /// <param name="Share">Share of the task's pairs that have these answers.</param>
    private sealed record Readout(IReadOnlyList<Answer> Answers, double Share, IReadOnlyList<ChannelReadout> Channels);

    private sealed record Answer(int Token, string Text);

    private sealed record ChannelReadout(int Channel, IReadOnlyList<float> Weights);

    private sealed record ChannelTokens(IReadOnlyList<TokenWeight> Top, IReadOnlyList<TokenWeight> Bottom);

    private sealed record TokenWeight(string Token, float Weight);
}
