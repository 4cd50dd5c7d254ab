using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Steers a dense model by nodes of a sparse one (docs/method.md section 5). A node is a channel of a sublayer's normed input, act_in. Its
/// activation in the counterfactual prompt minus that in the presented one, token by token, times strength, times the direction that it has
/// in the dense model's act_in, is added there. The direction follows a change of the node: divided by the sparse norm's weight and times
/// the sparse RMS it is one of the sparse residual, which the decoder turns into one of the dense residual, which the dense norm divides by
/// the dense RMS and multiplies by its own weights. Controls are random directions of equal norm.
/// </summary>
internal sealed class Steering : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly IReadOnlyList<Node> _nodes;
    private readonly TaskRunner _dense;
    private readonly TaskRunner _sparse;
    private readonly List<Edit> _denseEdits = [];
    private readonly List<Edit> _sparseEdits = [];
    private readonly List<float[]> _directions = [];
    private readonly List<double> _rmsRatios;

    /// <param name="dense">Frozen.</param>
    /// <param name="sparse">Frozen.</param>
    /// <param name="bridges">Between them.</param>
    /// <param name="nodes">Channels of act_in of the sparse model, each once.</param>
    /// <param name="rmsRatios">Of each node's residual; see <see cref="RmsRatio"/>.</param>
    /// <param name="pairs">Most pairs of one batch.</param>
    /// <param name="tokens">Longest prompt.</param>
    /// <exception cref="BadInputException">A node does not read the residual.</exception>
    public Steering(
        Transformer dense,
        Transformer sparse,
        BridgePairs bridges,
        IReadOnlyList<Node> nodes,
        IReadOnlyList<double> rmsRatios,
        int pairs,
        int tokens
    )
    {
        _engine = bridges.Engine;
        _nodes = nodes;
        _rmsRatios = [.. rmsRatios];
        _dense = new TaskRunner(dense, pairs, tokens);
        _sparse = new TaskRunner(sparse, pairs, tokens);
        foreach ((Node node, double ratio) in nodes.Zip(rmsRatios))
        {
            float[] direction = Direction(dense, sparse, bridges.Decoders[LocationOf(node, sparse.Config)], node, ratio);
            _directions.Add(direction);
            float[] self = new float[sparse.Config.ChannelsAt(node.Site.Kind)];
            self[node.Channel] = 1;
            _sparseEdits.Add(new Edit(_engine, node.Site, self));
            _denseEdits.Add(new Edit(_engine, node.Site, direction));
        }

        _denseEdits.ForEach(_dense.Hooks.Add);
        _sparseEdits.ForEach(_sparse.Hooks.Add);
    }

    /// <summary>The residual that a node reads: where its bridge is.</summary>
    /// <exception cref="BadInputException">It reads none.</exception>
    public static int LocationOf(Node node, ModelConfig sparse) =>
        node.Site.Kind is not (SiteKind.AttnActIn or SiteKind.MlpActIn)
            ? throw new BadInputException(
                $"node {node.Name} does not read the residual. Give channels of attn.act_in or mlp.act_in, such as 0.mlp.act_in.5."
            )
        : node.Channel >= sparse.DModel
            ? throw new BadInputException(
                $"node {node.Name} reads a position, not the residual, which has channels 0 to {sparse.DModel - 1}. Give one of these."
            )
        : (2 * node.Site.Layer) + (node.Site.Kind == SiteKind.MlpActIn ? 1 : 0);

    /// <summary>
    /// RMS of the sparse residual / RMS of the dense residual at a location, as the two norms there see them (LayerNorm: deviations), the
    /// mean over all tokens of <paramref name="batches"/> batches.
    /// </summary>
    public static double RmsRatio(
        Transformer dense,
        Transformer sparse,
        int location,
        BatchSource source,
        int batches,
        int sequences,
        int contextTokens,
        ulong seed
    )
    {
        using var denseLoss = new LanguageModelLoss(dense, sequences, contextTokens);
        using var sparseLoss = new LanguageModelLoss(sparse, sequences, contextTokens);
        double sum = 0;
        for (int batch = 0; batch < batches; batch++)
        {
            ReadOnlySpan<int> tokens = source.Random(seed, batch);
            denseLoss.Evaluate(tokens);
            sparseLoss.Evaluate(tokens);
            float[] above = ReciprocalDeviations(dense, denseLoss.Forward, location);
            float[] below = ReciprocalDeviations(sparse, sparseLoss.Forward, location);
            for (int i = 0; i < above.Length; i++)
            {
                sum += above[i] / below[i];
            }
        }

        return sum / batches / sequences / contextTokens;
    }

    /// <summary>Steers every pair's first prompt towards its second at each strength.</summary>
    /// <param name="pairs">The two prompts of each equally long: differences are taken token by token.</param>
    /// <param name="strengths">In rising order, from 0.</param>
    /// <param name="randomDirections">How many controls, from 1.</param>
    /// <param name="seed">Of the controls.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public SteeringResult Run(
        IReadOnlyList<TokenizedPair> pairs,
        IReadOnlyList<double> strengths,
        int randomDirections,
        ulong seed,
        CancellationToken stop = default
    )
    {
        double[] meanDifferences = [.. _nodes.Select(_ => 0.0)];
        int points = strengths.Count;
        var dense = new double[points, 2];
        var sparse = new double[points, 2];
        var random = new double[randomDirections, points, 2];
        for (int start = 0; start < pairs.Count; start += _dense.Pairs)
        {
            IReadOnlyList<TokenizedPair> batch = [.. pairs.Skip(start).Take(_dense.Pairs)];
            _sparseEdits.ForEach(edit => edit.SetDifferences([]));
            SetDifferences(batch, meanDifferences);
            for (int point = 0; point < points; point++)
            {
                stop.ThrowIfCancellationRequested();
                SetDirections(_sparseEdits, strengths[point], null);
                AddProbabilities(_sparse, batch, sparse, point);
                SetDirections(_denseEdits, strengths[point], null);
                AddProbabilities(_dense, batch, dense, point);
            }

            for (int direction = 0; direction < randomDirections; direction++)
            {
                var of = new double[points, 2];
                for (int point = 0; point < points; point++)
                {
                    stop.ThrowIfCancellationRequested();
                    SetDirections(_denseEdits, strengths[point], RandomSource.For(seed, "steering", direction));
                    AddProbabilities(_dense, batch, of, point);
                    random[direction, point, 0] += of[point, 0];
                    random[direction, point, 1] += of[point, 1];
                }
            }
        }

        return new SteeringResult(
            [.. _nodes.Select((node, i) => new SteeredNode(node, meanDifferences[i] / pairs.Count, _rmsRatios[i], Norm(_directions[i])))],
            pairs.Count,
            randomDirections,
            seed,
            [.. Enumerable.Range(0, points).Select(Point)]
        );

        SteeringPoint Point(int point)
        {
            double[] counterfactual =
            [
                .. Enumerable.Range(0, randomDirections).Select(direction => random[direction, point, 0] / pairs.Count),
            ];
            double presented = Enumerable.Range(0, randomDirections).Average(direction => random[direction, point, 1] / pairs.Count);
            return new SteeringPoint(
                strengths[point],
                Mean(dense, point),
                Mean(sparse, point),
                new AnswerProbabilities(counterfactual.Average(), presented),
                counterfactual.Min(),
                counterfactual.Max()
            );
        }

        AnswerProbabilities Mean(double[,] sums, int point) => new(sums[point, 0] / pairs.Count, sums[point, 1] / pairs.Count);
    }

    public void Dispose()
    {
        _dense.Dispose();
        _sparse.Dispose();
        _denseEdits.ForEach(edit => edit.Dispose());
        _sparseEdits.ForEach(edit => edit.Dispose());
    }

    /// <summary>What a change of a node by 1 makes of the dense model's act_in.</summary>
    private static float[] Direction(Transformer dense, Transformer sparse, BridgeMap decoder, Node node, double ratio)
    {
        var direction = new float[dense.Config.ChannelsAt(node.Site.Kind)];
        float ownWeight = sparse.Parameters.Read(NormWeight(node.Site))[node.Channel];
        if (ownWeight == 0)
        {
            return direction; // the norm lets nothing of the residual through: the node never changes
        }

        int channels = dense.Config.DModel;
        float[] decoders = new float[decoder.Weight.Spec.Length];
        dense.Parameters.Engine.Read(decoder.Weight.Value, decoders);
        double[] column =
        [
            .. Enumerable.Range(0, channels).Select(channel => (double)decoders[(channel * sparse.Config.DModel) + node.Channel]),
        ];
        double centre = dense.Config.NormKind == NormKind.LayerNorm ? column.Average() : 0; // LayerNorm takes the mean over channels away
        float[] weights = dense.Parameters.Read(NormWeight(node.Site));
        for (int channel = 0; channel < channels; channel++)
        {
            direction[channel] = (float)(ratio / ownWeight * (column[channel] - centre) * weights[channel]);
        }

        return direction;
    }

    private static string NormWeight(Site site) =>
        ParameterNames.Layer(site.Layer) + (site.Kind == SiteKind.AttnActIn ? "ln_1.weight" : "ln_2.weight");

    private static double Norm(float[] direction) => Math.Sqrt(direction.Sum(entry => (double)entry * entry));

    /// <summary>What the norm of sublayer <paramref name="location"/> multiplied each token's residual by, before its weights.</summary>
    private static float[] ReciprocalDeviations(Transformer model, ForwardState state, int location)
    {
        SublayerState sublayer = location % 2 == 0 ? state.Attention[location / 2] : state.Mlp[location / 2];
        var statistics = new float[sublayer.NormStatistics.Length];
        model.Parameters.Engine.Read(sublayer.NormStatistics, statistics);
        return [.. statistics.Chunk(2).Select(token => token[1])];
    }

    /// <summary>
    /// Each node's activation in the second prompt minus that in the first, token by token, for the rows of first prompts; 0 for the
    /// others.
    /// </summary>
    private void SetDifferences(IReadOnlyList<TokenizedPair> batch, double[] meanDifferences)
    {
        SetDirections(_sparseEdits, 0, null);
        _sparse.Differences(batch);
        for (int i = 0; i < _nodes.Count; i++)
        {
            Edit edit = _sparseEdits[i];
            int channel = _nodes[i].Channel;
            float[][] differences =
            [
                .. batch.Select(
                    (pair, place) =>
                        Enumerable
                            .Range(0, pair.First.Length)
                            .Select(t =>
                                edit.Seen(TaskRunner.SecondRow(place), t, channel) - edit.Seen(TaskRunner.FirstRow(place), t, channel)
                            )
                            .ToArray()
                ),
            ];
            meanDifferences[i] += differences.Sum(row => (double)row[^1]);

            edit.SetDifferences(differences);
            _denseEdits[i].SetDifferences(differences);
        }
    }

    /// <summary>Strength times each edit's own direction, or times a random one of its norm.</summary>
    private static void SetDirections(List<Edit> edits, double strength, RandomSource? random)
    {
        foreach (Edit edit in edits)
        {
            edit.SetDirection(strength, random);
        }
    }

    private static void AddProbabilities(TaskRunner runner, IReadOnlyList<TokenizedPair> batch, double[,] sums, int point)
    {
        runner.Differences(batch);
        for (int pair = 0; pair < batch.Count; pair++)
        {
            sums[point, 0] += runner.Probability(TaskRunner.FirstRow(pair), batch[pair].AnswerB);
            sums[point, 1] += runner.Probability(TaskRunner.FirstRow(pair), batch[pair].AnswerA);
        }
    }

    /// <summary>Adds differences [B,T,1] times a direction [C] to the activation at a site, in the rows of first prompts.</summary>
    private sealed class Edit(IComputeEngine engine, Site site, float[] own) : ISiteHook, IDisposable
    {
        private readonly WeightTensor _direction = engine.AllocateWeights("direction at " + site, own.Length, 1);
        private ActivationTensor? _differences;
        private ActivationTensor? _added;
        private float[] _seen = [];
        private float[][] _rows = [];

        /// <param name="rows">One per pair, as long as its prompts.</param>
        public void SetDifferences(float[][] rows)
        {
            _rows = rows;
            Release();
        }

        public void SetDirection(double strength, RandomSource? random)
        {
            float[] direction = own;
            if (random is not null)
            {
                // Positions that are concatenated to the residual are not steered at random either.
                direction = [.. own.Select(entry => entry == 0 ? 0 : (float)random.NextNormal())];
                double scale = Norm(own) / Norm(direction);
                direction = [.. direction.Select(entry => (float)(scale * entry))];
            }

            engine.Write(_direction, [.. direction.Select(entry => (float)strength * entry)]);
        }

        /// <summary>An activation of the last pass, before the edit.</summary>
        public float Seen(int sequence, int token, int channel) => _seen[(((sequence * _added!.Tokens) + token) * own.Length) + channel];

        public void Forward(Site at, ActivationTensor activation)
        {
            if (at != site)
            {
                return;
            }

            if (_added is null || _differences is null)
            {
                _added = engine.AllocateActivations("edit of " + site, activation.Sequences, activation.Tokens, own.Length);
                _differences = engine.AllocateActivations("differences of " + site, activation.Sequences, activation.Tokens, 1);
                _seen = new float[activation.Length];
                var differences = new float[_differences.Length];
                for (int pair = 0; pair < _rows.Length; pair++)
                {
                    _rows[pair].CopyTo(differences, TaskRunner.FirstRow(pair) * activation.Tokens);
                }

                engine.Write(_differences, differences);
            }

            engine.Read(activation, _seen);
            engine.LinearForward(_differences, _direction, null, _added);
            engine.Add(activation, _added, activation);
        }

        public void Backward(Site at, ActivationTensor gradient) { }

        public void Dispose()
        {
            Release();
            _direction.Dispose();
        }

        /// <summary>The next pass may have another shape.</summary>
        private void Release()
        {
            _differences?.Dispose();
            _added?.Dispose();
            (_differences, _added) = (null, null);
        }
    }
}
