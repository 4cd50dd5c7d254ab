using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Pruning;

/// <summary>Runs a frozen model with any choice of nodes active and the rest frozen, and measures circuits so.</summary>
internal sealed class CircuitEvaluator : IDisposable
{
    private const int EvaluationPairs = 32;
    private const int TokensShown = 8;

    /// <summary>
    /// Circuits of more nodes than this are not measured or shown node by node, nor those of more edges edge by edge: nobody looks at
    /// them so, and their activations would fill a page.
    /// </summary>
    internal const int MostNodesInDetail = 512;

    /// <param name="model">Frozen.</param>
    /// <param name="means">Mean activation of every node.</param>
    /// <param name="config">Validated.</param>
    public CircuitEvaluator(Transformer model, float[] means, PruningConfig config)
    {
        if (config.MaxTokens > model.Config.BlockSize)
        {
            throw new BadInputException(
                $"max_tokens is {config.MaxTokens}, but the model reads at most {model.Config.BlockSize} tokens. Lower max_tokens."
            );
        }

        Model = model;
        Means = means;
        Config = config;
        Layout = new NodeLayout(model.Config, config.FinalResid);
        // A batch costs as much when it is not full.
        int most = Math.Min(EvaluationPairs, Math.Max(config.SelectionPairs, config.TestPairs));
        Masked = NewRunner(most);
    }

    public Transformer Model { get; }

    /// <summary>One per node.</summary>
    public float[] Means { get; }

    public PruningConfig Config { get; }

    /// <summary>All nodes of the model.</summary>
    public NodeLayout Layout { get; }

    /// <summary>Made when first asked for.</summary>
    public CircuitGraph Graph => field ??= new CircuitGraph(Model.Parameters, Config.FinalResid);

    /// <summary>The model behind its mask.</summary>
    public MaskedRunner Masked { get; }

    /// <summary>Another one, which freezes what the configuration says.</summary>
    /// <param name="pairs">Most pairs of one batch; fewer where that many are no faster, or do not fit.</param>
    public MaskedRunner NewRunner(int pairs) =>
        new(
            Model,
            Layout,
            Config.Ablation == Ablation.Mean ? Means : new float[Means.Length],
            PruningMemory.PairsAtOnce(Model, Config.MaxTokens, pairs),
            Config.MaxTokens,
            Config.FreezeNormScale
        );

    /// <summary>Logit differences with only <paramref name="nodes"/> active, everything else frozen.</summary>
    public LogitDifferences Differences(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        Masked.Keep(nodes);
        return Masked.Runner.AllDifferences(pairs);
    }

    /// <summary>Mean loss, of the kind that the configuration says, with only <paramref name="nodes"/> active.</summary>
    public double Loss(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        Masked.Keep(nodes);
        return Masked.Runner.MeanLoss(pairs, Config.CircuitLoss);
    }

    /// <summary>
    /// The loss that is held against the target, on the prompts that circuits are chosen on: where the configuration says so, after scale
    /// and shift were fitted to them.
    /// </summary>
    public double SelectionLoss(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs) =>
        Config.Criterion == LossCriterion.Calibrated
            ? Calibration.Fit(Differences(nodes, pairs), Config.CalibrationSteps).LossAfter
            : Loss(nodes, pairs);

    /// <summary>How much the loss rises when one node of a circuit is frozen too; one entry per node of the circuit, in order.</summary>
    public IReadOnlyList<double> AblationEffects(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        double whole = Loss(nodes, pairs);
        return [.. nodes.Numbers.Select(node => Loss(nodes.Without(node), pairs) - whole)];
    }

    /// <summary>
    /// How much the loss rises when one weight of a circuit is set to zero, everything outside frozen as ever; one entry per edge, in the
    /// graph's order.
    /// </summary>
    public IReadOnlyList<double> EdgeEffects(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        double whole = Loss(nodes, pairs);
        return
        [
            .. Graph
                .Edges(nodes)
                .ToList()
                .Select(edge =>
                {
                    using (Graph.WithoutEdge(edge.From, edge.To))
                    {
                        return Masked.Runner.MeanLoss(pairs, Config.CircuitLoss) - whole; // the mask is still that of the whole circuit
                    }
                }),
        ];
    }

    /// <summary>
    /// How much the loss rises when all nodes of one attention or MLP are frozen too, by its name; those without a node are left out.
    /// </summary>
    public IReadOnlyDictionary<string, double> LayerEffects(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        double whole = Loss(nodes, pairs);
        return nodes
            .Numbers.Where(node => Layout[node].Site != Site.Final)
            .GroupBy(node => Layout[node].Site.LayerPart)
            .ToDictionary(part => part.Key, part => Loss(new NodeSet(Layout, nodes.Numbers.Except(part)), pairs) - whole);
    }

    /// <summary>Whether as many nodes or edges are measured one by one.</summary>
    internal bool HasDetails(int count) => Config.NodeDetails && count <= MostNodesInDetail;

    /// <summary>
    /// On how many test pairs single nodes or edges are measured: fewer for larger circuits, so that it never takes longer than the
    /// pruning.
    /// </summary>
    internal static int PairsInDetail(int nodes) => Math.Clamp(4096 / Math.Max(1, nodes), 16, 64);

    /// <summary>Losses of random circuits that have as many nodes at each location as <paramref name="nodes"/>.</summary>
    public IReadOnlyList<double> RandomLosses(NodeSet nodes, IReadOnlyList<TokenizedPair> pairs, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Loss(RandomLike(nodes, RandomSource.For(Config.Seed, "random circuit", i)), pairs))];

    /// <summary>Everything that circuit.json says of a choice of nodes.</summary>
    /// <param name="nodes">The choice.</param>
    /// <param name="chosen">How they were found; null for what no search found, which has no tau and no selection loss.</param>
    /// <param name="task">The task's name.</param>
    /// <param name="modelName">The model's name, for the record.</param>
    /// <param name="tokenizer">For the tokens that write the channels read; null leaves them out.</param>
    /// <param name="prompts">The task's prompts; without selection prompts nothing is calibrated.</param>
    public Circuit Describe(
        NodeSet nodes,
        ChosenNodes? chosen,
        string task,
        string modelName,
        TextTokenizer? tokenizer,
        TaskPrompts prompts
    )
    {
        var all = NodeSet.All(Layout);
        bool isBinary = Config.CircuitLoss == TaskLoss.Binary;
        CalibrationResult? calibration =
            prompts.Selection.Count == 0
                ? null
                : Calibration.Fit(Differences(nodes, prompts.Selection), isBinary ? Config.CalibrationSteps : 0);
        LogitDifferences circuit = Differences(nodes, prompts.Test);
        LogitDifferences full = Differences(all, prompts.Test);
        double loss = isBinary ? circuit.BinaryLoss() : Loss(nodes, prompts.Test);
        IReadOnlyList<double> random = RandomLosses(nodes, prompts.Test, Config.RandomCircuits);
        IReadOnlyList<double>? effects = !HasDetails(nodes.Count)
            ? null
            : AblationEffects(nodes, [.. prompts.Test.Take(PairsInDetail(nodes.Count))]);
        (int From, int To, float Weight)[] edges = [.. Graph.Edges(nodes)];
        IReadOnlyList<double>? edgeEffects = !HasDetails(edges.Length)
            ? null
            : EdgeEffects(nodes, [.. prompts.Test.Take(PairsInDetail(edges.Length))]);
        float[] embedding = Model.Parameters.Read(ParameterNames.Token);
        return new Circuit
        {
            Task = task,
            Model = modelName,
            ModelFingerprint = Model.Parameters.Fingerprint(),
            KCoef = chosen?.KCoef,
            TotalNodes = Layout.Count,
            TotalEdges = Graph.Edges(all).Count(),
            Measurements = new CircuitMeasurements(
                LossFullModel: isBinary ? full.BinaryLoss() : Loss(all, prompts.Test),
                Loss: loss,
                LossCalibrated: calibration is null ? null
                    : isBinary ? circuit.BinaryLoss(calibration.Scale, calibration.Shift)
                    : loss,
                LossWithoutCircuit: Loss(nodes.Complement(), prompts.Test),
                LossEmpty: Loss(NodeSet.Empty(Layout), prompts.Test),
                Accuracy: circuit.Accuracy(),
                AccuracyFullModel: full.Accuracy(),
                SelectionLoss: chosen?.SelectionLoss
            )
            {
                LossRandomMean = random.Count == 0 ? null : random.Average(),
                LossRandomBest = random.Count == 0 ? null : random.Min(),
                LayerEffects = Config.NodeDetails ? LayerEffects(nodes, prompts.Test) : null,
            },
            Calibration = calibration,
            Settings = Config,
            SurvivesInterchange = chosen?.Survives,
            Smallest = chosen?.Smallest is { } smallest ? SizeOf(smallest, prompts) : null,
            TriedSizes = chosen?.Tried,
            Nodes =
            [
                .. nodes.Numbers.Select(
                    (i, place) =>
                        new CircuitNode(
                            Layout[i],
                            chosen?.Scores[i],
                            Means[i],
                            Graph.BiasOf(i),
                            effects?[place],
                            tokenizer is null ? null : TokensOf(Layout[i], embedding, tokenizer)
                        )
                ),
            ],
            Edges =
            [
                .. edges.Select((edge, place) => new CircuitEdge(Layout[edge.From], Layout[edge.To], edge.Weight, edgeEffects?[place])),
            ],
        };
    }

    public void Dispose() => Masked.Dispose();

    /// <summary>Nodes, edges and the loss on test prompts that is held against the target.</summary>
    public MeasuredSize SizeOf(NodeSet nodes, TaskPrompts prompts)
    {
        CalibrationResult? fit =
            Config.Criterion == LossCriterion.Calibrated
                ? Calibration.Fit(Differences(nodes, prompts.Selection), Config.CalibrationSteps)
                : null;
        double loss = fit is null ? Loss(nodes, prompts.Test) : Differences(nodes, prompts.Test).BinaryLoss(fit.Scale, fit.Shift);
        return new MeasuredSize(nodes.Count, Graph.Edges(nodes).Count(), loss);
    }

    private NodeSet RandomLike(NodeSet nodes, RandomSource random)
    {
        return new NodeSet(Layout, Enumerable.Range(0, Layout.Sites.Count).SelectMany(Chosen));

        IEnumerable<int> Chosen(int site)
        {
            (int start, int length) = Layout.RangeOf(site).GetOffsetAndLength(Layout.Count);
            int[] numbers = [.. Enumerable.Range(start, length)];
            random.Shuffle<int>(numbers);
            return numbers.Take(Enumerable.Range(start, length).Count(nodes.Contains));
        }
    }

    private List<TokenWeight>? TokensOf(Node node, float[] embedding, TextTokenizer tokenizer)
    {
        int width = Model.Config.DModel;
        return node.Site.Kind is not (SiteKind.AttnActIn or SiteKind.MlpActIn) || node.Channel >= width
            ? null
            :
            [
                .. Enumerable
                    .Range(0, tokenizer.VocabularySize)
                    .Select(id => (Id: id, Weight: embedding[(id * width) + node.Channel]))
                    .Where(entry => entry.Weight != 0)
                    .OrderByDescending(entry => Math.Abs(entry.Weight))
                    .ThenBy(entry => entry.Id)
                    .Take(TokensShown)
                    .Select(entry => new TokenWeight(tokenizer.Describe(entry.Id), entry.Id, entry.Weight)),
            ];
    }
}
