using Sparsity.Core.Engine;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// Adam for the bridges. The residuals of two models differ in size, often tenfold, and the maps between them do too; so the rate of a
/// map's weights is the learning rate times their present RMS, and a step changes every map by the same share of itself. Biases move as all
/// inputs' weights do together: sqrt(inputs) as fast.
/// </summary>
internal sealed class BridgeOptimizer : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly IReadOnlyList<BridgeMap> _maps;
    private readonly TrainingConfig _training;
    private readonly BridgeConfig _config;
    private readonly Schedule _schedule;
    private readonly WeightList _gradients;
    private readonly WeightList[] _mapWeights;
    private readonly AdamLists[] _steps;

    /// <param name="bridges">With gradients.</param>
    /// <param name="training">Of the sparse model: warm-up, decay and Adam's means are the same.</param>
    public BridgeOptimizer(BridgePairs bridges, TrainingConfig training)
    {
        _engine = bridges.Engine;
        _config = bridges.Config;
        _training = training;
        _maps = [.. bridges.Encoders.Zip(bridges.Decoders).SelectMany(pair => new[] { pair.First, pair.Second })];
        _schedule = new Schedule(training with { Lr = bridges.Config.Lr, Pfrac = null }, training.LastStep());
        Moments = AdamMoments.Allocate(_engine, bridges.All);
        _steps = [.. Moments.Select(moments => new AdamLists(_engine, [moments]))];
        _gradients = _engine.ListWeights("gradients of the bridges", [.. Moments.Select(moments => moments.Parameter.Gradient!)]);
        _mapWeights = [.. _maps.Select(map => _engine.ListWeights("a bridge's weights", [map.Weight.Value]))];
        GradientRms = _engine.AllocateScalars("RMS of the bridges' gradient", 1);
        MapRms = _engine.AllocateScalars("RMS of each bridge's weights", _maps.Count);
    }

    /// <summary>In the order of the bridges' parameters.</summary>
    public IReadOnlyList<AdamMoments> Moments { get; }

    /// <summary>Root mean square over all entries of all gradients together.</summary>
    public ScalarTensor GradientRms { get; }

    /// <summary>Root mean square of each map's weights.</summary>
    public ScalarTensor MapRms { get; }

    /// <summary>Leaves what a step needs in <see cref="GradientRms"/> and <see cref="MapRms"/>.</summary>
    public void Measure()
    {
        _engine.RootMeanSquare(_gradients, GradientRms, 0);
        for (int map = 0; map < _maps.Count; map++)
        {
            _engine.RootMeanSquare(_mapWeights[map], MapRms, map);
        }
    }

    /// <summary>Applies the gradients, and clears them for the next step; what <see cref="Measure"/> left has been fetched.</summary>
    /// <param name="step">0-based.</param>
    public void Step(int step)
    {
        for (int i = 0; i < _maps.Count; i++)
        {
            BridgeMap map = _maps[i];
            double rate = _schedule.LearningRate(step) * MapRms[i];
            _steps[2 * i].Step(_training, _config.Eps, scale: 1, rate, step);
            _steps[(2 * i) + 1].Step(_training, _config.Eps, scale: 1, rate * Math.Sqrt(map.Weight.Spec.Columns), step);
        }
    }

    public void Dispose()
    {
        GradientRms.Dispose();
        MapRms.Dispose();
        _gradients.Dispose();
        foreach (IDisposable list in _mapWeights.Concat<IDisposable>(_steps))
        {
            list.Dispose();
        }

        foreach (AdamMoments moments in Moments)
        {
            moments.Dispose();
        }
    }
}
