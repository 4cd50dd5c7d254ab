using Sparsity.Core.Engine;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Adam for the bridges. The residuals of two models differ in size, often tenfold, and the maps between them do too; so the rate of a map's weights
/// is the learning rate times their present RMS, and a step changes every map by the same share of itself. Biases move as all inputs' weights do together: sqrt(inputs) as fast.
/// </summary>
internal sealed class BridgeOptimizer : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly IReadOnlyList<BridgeMap> _maps;
    private readonly TrainingConfig _training;
    private readonly BridgeConfig _config;
    private readonly Schedule _schedule;

    /// <param name="bridges">With gradients.</param>
    /// <param name="training">Of the sparse model: warm-up, decay and Adam's means are the same.</param>
    public BridgeOptimizer(BridgePairs bridges, TrainingConfig training)
    {
        _engine = bridges.Engine;
        _config = bridges.Config;
        _training = training;
        _maps = [.. bridges.Encoders.Zip(bridges.Decoders).SelectMany(pair => new[] { pair.First, pair.Second })];
        _schedule = new Schedule(training with { Lr = bridges.Config.Lr, Pfrac = null }, training.LastStep());
        Moments = [.. bridges.All.Select(parameter => AdamMoments.Allocate(_engine, parameter))];
    }

    /// <summary>In the order of the bridges' parameters.</summary>
    public IReadOnlyList<AdamMoments> Moments { get; }

    /// <summary>Root mean square over all entries of all gradients together.</summary>
    public double GradientRms() => _engine.RootMeanSquare([.. Moments.Select(moments => moments.Parameter.Gradient!)]);

    /// <summary>Applies the gradients, and clears them for the next step.</summary>
    /// <param name="step">0-based.</param>
    public void Step(int step)
    {
        foreach ((BridgeMap map, AdamMoments[] ofMap) in _maps.Zip(Moments.Chunk(2)))
        {
            double rate = _schedule.LearningRate(step) * _engine.RootMeanSquare([map.Weight.Value]);
            foreach (AdamMoments moments in ofMap)
            {
                double own = moments.Parameter == map.Bias ? rate * Math.Sqrt(map.Weight.Spec.Columns) : rate;
                _engine.AdamStep(
                    moments.Parameter.Value, moments.Parameter.Gradient!, moments.First, moments.Second, 1, (float)own,
                    (float)_training.AdamBeta1, (float)_training.AdamBeta2, (float)_config.Eps, step + 1);
                _engine.Zero(moments.Parameter.Gradient!);
            }
        }
    }

    public void Dispose()
    {
        foreach (AdamMoments moments in Moments)
        {
            moments.Dispose();
        }
    }
}
