using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Trains a sparse model and the bridges to a frozen dense one together (docs/method.md section 5). The sparse model's update is that of
/// <see cref="Trainer"/>, budgets and schedules included; the bridges have an optimiser of their own.
/// </summary>
internal sealed class BridgeTrainer : Trainer
{
    private readonly Transformer _dense;
    private readonly Coupling _coupling;
    private readonly BridgeLoss _loss;
    private readonly BridgeOptimizer _bridgeOptimizer;
    private readonly ModelParameters? _start;
    private readonly string _denseFingerprint;
    private IReadOnlyDictionary<string, double>? _terms;

    /// <param name="dense">Frozen; stays its owner's.</param>
    /// <param name="sparse">The sparse model's configuration.</param>
    /// <param name="training">Of the sparse model, resolved.</param>
    /// <param name="bridge">Validated.</param>
    /// <param name="start">The sparse model's initial weights, of the same configuration; null draws them.</param>
    /// <param name="group">The processes that train them together; null for this one alone.</param>
    /// <exception cref="BadInputException">The models do not match, the sparsity target is impossible, or the batch cannot be divided among
    /// the processes.</exception>
    public BridgeTrainer(
        Transformer dense,
        ModelConfig sparse,
        TrainingConfig training,
        BridgeConfig bridge,
        ModelParameters? start = null,
        IProcessGroup? group = null
    )
        : base(dense.Parameters.Engine, sparse, training, group)
    {
        if (training.ContextTokens > dense.Config.BlockSize)
        {
            throw new BadInputException(
                $"context_tokens is {training.ContextTokens}, but the dense model reads at most {dense.Config.BlockSize} tokens. "
                    + $"Lower context_tokens."
            );
        }

        _dense = dense;
        _start = start;
        _denseFingerprint = dense.Parameters.Fingerprint();
        Bridges = new BridgePairs(Engine, dense.Config, sparse, bridge, isTrained: true);
        _coupling = new Coupling(dense, Loss, Bridges);
        _loss = new BridgeLoss(_coupling);
        _bridgeOptimizer = new BridgeOptimizer(Bridges, training);
    }

    public BridgePairs Bridges { get; }

    /// <summary>Means over locations, without weights; see <see cref="BridgeTerms.Means"/>.</summary>
    public override IReadOnlyDictionary<string, double>? Terms => _terms;

    public override string Settings => base.Settings + JsonText.Write(Bridges.Config) + _denseFingerprint;

    public override void Initialise()
    {
        base.Initialise();
        if (_start is not null)
        {
            foreach (Parameter parameter in Parameters.All)
            {
                Engine.Write(parameter.Value, _start.Read(parameter.Spec.Name));
            }

            Sparsity.ApplyAtStart();
        }

        Bridges.Initialise(Config.Seed);
    }

    public override void InitialiseFromData(BatchSource training)
    {
        if (Bridges.Config.Start == BridgeStart.LeastSquares)
        {
            LeastSquares.Fit(_coupling, training, Config.Seed);
        }
        else
        {
            _coupling.MatchSizes(training.Random(Config.Seed, 0));
        }
    }

    /// <returns>The weighted sum of all terms before the update, and the root mean square of the sparse model's gradient.</returns>
    /// <inheritdoc/>
    public override (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
    {
        BridgeTerms terms = Evaluate(tokens);
        _terms = terms.Means();
        double total = terms.Total(Bridges.Config);
        double rms = Optimizer.GradientRms[0];
        string notFinite =
            $" Of its terms not finite: {string.Join(", ", _terms.Where(term => !double.IsFinite(term.Value)).Select(term => term.Key))}.";
        RequireFinite(step, total, Math.Max(rms, _bridgeOptimizer.GradientRms[0]), notFinite);
        Optimizer.Step(step);
        _bridgeOptimizer.Step(step);
        return (total, rms);
    }

    /// <summary>
    /// The terms on the whole batch; the gradients of all its parts, and what the optimisers need, are measured and fetched with them.
    /// </summary>
    private BridgeTerms Evaluate(ReadOnlySpan<int> tokens)
    {
        if (Share.Parts == 1)
        {
            _loss.Run(tokens, Gradients);
            Engine.Fetch([.. _loss.Sums, .. MeasureStep()]);
            return _loss.Terms();
        }

        var squares = new double[Share.OwnParts][];
        for (int part = squares.Length - 1; part >= 0; part--) // backwards, so that the first stays loaded
        {
            _coupling.Load(Share.Part(tokens, part));
            squares[part] = _coupling.TargetSquares();
        }

        double[] all = Share.Sum(squares);
        var rows = new double[Share.OwnParts][];
        for (int part = 0; part < rows.Length; part++)
        {
            if (part > 0)
            {
                _coupling.Load(Share.Part(tokens, part)); // again: the activations of all parts at once would not fit
            }

            double[] shares = [.. squares[part].Zip(all, (own, whole) => own / whole)];
            _loss.Run(Gradients, shares, Finished);
            Engine.Fetch([.. _loss.Sums]);
            rows[part] = _loss.Terms(shares).ToRow();
        }

        Exchange!.Complete();
        Engine.Fetch([.. MeasureStep()]);
        return BridgeTerms.OfRow(Share.Sum(rows));
    }

    private ScalarTensor[] MeasureStep()
    {
        Optimizer.MeasureGradient();
        _bridgeOptimizer.Measure();
        return [Optimizer.GradientRms, _bridgeOptimizer.GradientRms, _bridgeOptimizer.MapRms, MeasureWeights()];
    }

    public override void Checkpoint(RunFolder folder, int nextStep, string lossWatch)
    {
        new BridgeFolder(folder.Directory).WriteBridges(Bridges, _denseFingerprint, Parameters.Fingerprint(), nextStep);
        base.Checkpoint(folder, nextStep, lossWatch);
    }

    protected override void Dispose(bool disposing)
    {
        _loss.Dispose();
        _coupling.Dispose();
        _bridgeOptimizer.Dispose();
        Bridges.Dispose();
        base.Dispose(disposing);
    }

    protected override IReadOnlyList<Parameter> AllParameters => [.. Parameters.All, .. Bridges.All];

    protected override IReadOnlyList<AdamMoments> AllMoments => [.. Optimizer.Moments, .. _bridgeOptimizer.Moments];
}
