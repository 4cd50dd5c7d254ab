using System.Globalization;
using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// A circuit with what its model adds: its shape, which tokens write its channels, how channels reach the answers' logits.
/// </summary>
/// <param name="models">Where models are found.</param>
/// <param name="taskOf">The task of a circuit; throws <see cref="BadInputException"/> where it is not known.</param>
internal sealed class CircuitDescriber(ModelShelf models, Func<Circuit, PromptTask> taskOf)
{
    private const string ActivationsFile = "activations.json";
    private const int TokensPerEnd = 20;
    private const int PairsForAnswers = 64;
    private const int FewestPairs = 3;
    private const int PairsShown = 16; // as many as the release has of most tasks
    private const int MostValues = 400_000; // activations in a page for one circuit
    private const int MostWeights = 200_000; // of attention, likewise

    public CircuitDocument Describe(CircuitFile file)
    {
        Circuit circuit = file.Load();
        var has = new List<string>();
        if (file.Sibling(ActivationsFile) is not null)
        {
            has.Add("activations");
        }

        if (SearchTrials.IsThere(file, circuit))
        {
            has.Add("search");
        }

        if (models.Find(circuit, file) is not { } run)
        {
            return new CircuitDocument(circuit, has, null, null, null);
        }

        has.Add("embedding");

        IReadOnlyList<TokenizedPair>? pairs = PairsOf(circuit, file, run);
        if (pairs is not null && circuit.Nodes.Count <= CircuitEvaluator.MostNodesInDetail)
        {
            has.Add("prompts");
        }

        NodeLayout layout = circuit.LayoutIn(run.Model.Config);
        var weights = new StrongestTokens(run.Model.Parameters);
        int[] channels =
        [
            .. circuit
                .NodesIn(layout)
                .Nodes.Where(node => node.Site.Kind.IsResidual() && node.Channel < run.Model.Config.DModel)
                .Select(node => node.Channel)
                .Distinct()
                .Order(),
        ];
        return new CircuitDocument(
            circuit,
            has,
            new ModelShape(run.Model.Config.NLayer, run.Model.Config.NHead, run.Model.Config.DHead, run.Model.Config.DModel),
            pairs is null ? null : FindReadout(pairs, run, weights, channels),
            channels.ToDictionary(channel => channel.ToString(CultureInfo.InvariantCulture), channel => Ends(weights.Writers(channel), run))
        );
    }

    /// <summary>activations.json as it is; null where there is none.</summary>
    /// <exception cref="BadInputException">It is damaged, or belongs to another circuit.</exception>
    public static string? Activations(CircuitFile file)
    {
        if (file.Sibling(ActivationsFile) is not { } path)
        {
            return null;
        }

        Circuit circuit = file.Load();
        JsonObject activations = JsonText.ParseObject(JsonText.ReadAllText(path), path);
        return activations["model_fingerprint"]?.ToString() == circuit.ModelFingerprint && activations["task"]?.ToString() == circuit.Task
            ? activations.ToJsonString(JsonText.OneLine)
            : throw new BadInputException(
                $"{path}: belongs to another circuit than the circuit.json beside it. Prune again, to another folder."
            );
    }

    /// <summary>
    /// What the nodes do in the shortest of the task's test prompts, and the channels that their queries and keys meet; null where the
    /// model or the task's prompts are not known, or the circuit is too large.
    /// </summary>
    public PromptsDocument? Prompts(CircuitFile file)
    {
        Circuit circuit = file.Load();
        if (
            circuit.Nodes.Count > CircuitEvaluator.MostNodesInDetail
            || models.Find(circuit, file) is not { } run
            || PairsOf(circuit, file, run) is not { } pairs
        )
        {
            return null;
        }

        TokenizedPair[] shown = Shown(circuit, pairs);
        Node[] nodes = [.. circuit.NodesIn(circuit.LayoutIn(run.Model.Config)).Nodes];
        PromptSurvey survey = PromptSurvey.Measure(run.Model, [.. nodes.Union(nodes.SelectMany(Counterpart))], shown, MostWeights);
        return new PromptsDocument(
            [
                .. shown.Select(pair => new PromptTokens(
                    Texts(pair.First),
                    Texts(pair.Second),
                    run.Describe(pair.FirstPrompt.Right),
                    run.Describe(pair.SecondPrompt.Right)
                )),
            ],
            survey.Activations,
            survey.Heads
        );

        string[] Texts(int[] tokens) => [.. tokens.Select(run.Describe)];
    }

    /// <summary>The key channel that a query channel is multiplied with, and the other way round.</summary>
    private static IEnumerable<Node> Counterpart(Node node) =>
        node.Site.Kind switch
        {
            SiteKind.AttnQ => [new Node(new Site(node.Site.Layer, SiteKind.AttnK), node.Channel)],
            SiteKind.AttnK => [new Node(new Site(node.Site.Layer, SiteKind.AttnQ), node.Channel)],
            _ => [],
        };

    /// <summary>The shortest prompts, as many as a page has room for.</summary>
    private static TokenizedPair[] Shown(Circuit circuit, IReadOnlyList<TokenizedPair> pairs)
    {
        var shown = new List<TokenizedPair>();
        long values = 0;
        foreach (TokenizedPair pair in pairs.OrderBy(pair => pair.First.Length + pair.Second.Length).Take(PairsShown))
        {
            values += (long)circuit.Nodes.Count * (pair.First.Length + pair.Second.Length);
            if (shown.Count >= FewestPairs && values > MostValues)
            {
                break;
            }

            shown.Add(pair);
        }

        return [.. shown];
    }

    /// <summary>
    /// Test prompts of the circuit's task: those that lie beside an imported circuit, else drawn again. Null for a task whose file is not
    /// found as it was, or that the tokenizer cannot pose.
    /// </summary>
    private IReadOnlyList<TokenizedPair>? PairsOf(Circuit circuit, CircuitFile file, ShelvedModel run)
    {
        if (file.Sibling(CircuitInputs.PromptsName) is { } path)
        {
            return CircuitInputs.LoadPairs(Path.GetDirectoryName(path)!, circuit, run.Model.Config);
        }

        if (circuit.Settings is not { } settings || run.Tokenizer is null)
        {
            return null;
        }

        PromptTask task;
        try
        {
            task = taskOf(circuit);
        }
        catch (BadInputException)
        {
            return null; // the circuit is shown without prompts; live ablation says why
        }

        return TokenizedTask.TryCreate(
            task,
            run.Tokenizer,
            settings.MaxTokens,
            out TokenizedTask? tokenized,
            out _,
            settings.DistractorLines
        )
            ? tokenized.Sample(TaskSplit.Test, settings.Seed, PairsForAnswers).Pairs
            : null;
    }

    /// <summary>The task's most common pair of answers and the weights with which channels reach their logits.</summary>
    private static Readout FindReadout(IReadOnlyList<TokenizedPair> pairs, ShelvedModel run, StrongestTokens weights, int[] channels)
    {
        IGrouping<(int A, int B), TokenizedPair> common = pairs
            .GroupBy(pair => (pair.AnswerA, pair.AnswerB))
            .MaxBy(group => group.Count())!;
        int[] answers = [common.Key.A, common.Key.B];
        return new Readout(
            [.. answers.Select(token => new Answer(token, run.Describe(token)))],
            (double)common.Count() / pairs.Count,
            [.. channels.Select(channel => new ChannelReadout(channel, [.. answers.Select(token => weights.Readout(channel, token))]))]
        );
    }

    private static ChannelTokens Ends(IReadOnlyList<(int Token, float Weight)> writers, ShelvedModel run)
    {
        return new ChannelTokens(List(writers.Take(TokensPerEnd)), List(writers.Reverse().Take(TokensPerEnd)));

        ChannelToken[] List(IEnumerable<(int Token, float Weight)> entries) =>
            [.. entries.Where(entry => entry.Weight != 0).Select(entry => new ChannelToken(run.Describe(entry.Token), entry.Weight))];
    }
}
