using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>
/// Steps 3 to 6 of a training step (docs/method.md section 2): scale the gradient, Adam with dense moments, top-k where there is any,
/// decoupled weight decay of the matrices.
/// </summary>
internal sealed class AdamW : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly TrainingConfig _config;
    private readonly Schedule _schedule;
    private readonly WeightSparsity? _sparsity;
    private readonly AdamMoments[] _moments;
    private readonly AdamLists _lists;
    private readonly WeightList _decayed;

    /// <param name="engine">Where the parameters live.</param>
    /// <param name="trained">All have gradients.</param>
    /// <param name="config">Resolved.</param>
    /// <param name="schedule">The learning rate.</param>
    /// <param name="sparsity">The nonzero budgets; null for parameters that have none.</param>
    public AdamW(
        IComputeEngine engine,
        IEnumerable<Parameter> trained,
        TrainingConfig config,
        Schedule schedule,
        WeightSparsity? sparsity = null
    )
    {
        _engine = engine;
        _config = config;
        _schedule = schedule;
        _sparsity = sparsity;
        _moments = AdamMoments.Allocate(engine, [.. trained]);
        _lists = new AdamLists(engine, _moments);
        _decayed = engine.ListWeights(
            "decayed weights",
            [
                .. _moments
                    .Select(moments => moments.Parameter)
                    .Where(parameter => parameter.Spec.IsDecayed)
                    .Select(parameter => parameter.Value),
            ]
        );
        GradientRms = engine.AllocateScalars("RMS of the gradient", 1);
    }

    /// <summary>The trained parameters with their moments, in the order of the parameter list.</summary>
    public IReadOnlyList<AdamMoments> Moments => _moments;

    /// <summary>Root mean square over all entries of all gradients together, left by <see cref="MeasureGradient"/>.</summary>
    public ScalarTensor GradientRms { get; }

    public void MeasureGradient() => _engine.RootMeanSquare(_lists.Gradients, GradientRms, 0);

    /// <summary>Applies the gradients, whose RMS has been fetched and is finite, and clears them for the next step.</summary>
    /// <param name="step">0-based.</param>
    public void Step(int step)
    {
        const double NormalizeEpsilon = 1e-5;
        double gradientRms = GradientRms[0];
        double scale = _config.GradientScaling switch
        {
            GradientScaling.Normalize => 1 / (gradientRms + NormalizeEpsilon),
            GradientScaling.Clip => Math.Min(1, _config.GradientClipRms / gradientRms),
            _ => 1,
        };
        double rate = _schedule.LearningRate(step);
        _lists.Step(_config, _config.Eps, scale, rate, step);
        _sparsity?.Apply(step);
        _engine.Scale(_decayed, (float)(1 - (_config.WeightDecay * rate)));
    }

    public void Dispose()
    {
        GradientRms.Dispose();
        _decayed.Dispose();
        _lists.Dispose();
        foreach (AdamMoments moments in _moments)
        {
            moments.Dispose();
        }
    }
}

/// <summary>What Adam goes over in one operation.</summary>
internal sealed class AdamLists(IComputeEngine engine, IReadOnlyList<AdamMoments> moments) : IDisposable
{
    private readonly WeightList _weights = engine.ListWeights("weights", [.. moments.Select(each => each.Parameter.Value)]);
    private readonly WeightList _first = engine.ListWeights("first moments", [.. moments.Select(each => each.First)]);
    private readonly WeightList _second = engine.ListWeights("second moments", [.. moments.Select(each => each.Second)]);

    public WeightList Gradients { get; } = engine.ListWeights("gradients", [.. moments.Select(each => each.Parameter.Gradient!)]);

    /// <summary>Adam's step alone.</summary>
    /// <param name="config">Adam's means.</param>
    /// <param name="epsilon">Added to the root of the second moment.</param>
    /// <param name="scale">Of the gradient.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="step">0-based.</param>
    public void Step(TrainingConfig config, double epsilon, double scale, double rate, int step) =>
        engine.AdamStep(
            _weights,
            Gradients,
            _first,
            _second,
            (float)scale,
            (float)rate,
            (float)config.AdamBeta1,
            (float)config.AdamBeta2,
            (float)epsilon,
            step + 1
        );

    public void Dispose()
    {
        _weights.Dispose();
        Gradients.Dispose();
        _first.Dispose();
        _second.Dispose();
    }
}

/// <summary>A trained parameter with Adam's running means of its gradient and of the gradient's square.</summary>
internal sealed record AdamMoments(Parameter Parameter, WeightTensor First, WeightTensor Second) : IDisposable
{
    /// <summary>Both means of every parameter, zero.</summary>
    public static AdamMoments[] Allocate(IComputeEngine engine, IReadOnlyList<Parameter> trained)
    {
        ParameterSpec[] specs = [.. trained.Select(parameter => parameter.Spec)];
        IReadOnlyList<WeightTensor> first = ParameterSpec.Allocate(engine, specs, "first moment of ");
        IReadOnlyList<WeightTensor> second = ParameterSpec.Allocate(engine, specs, "second moment of ");
        return [.. trained.Select((parameter, i) => new AdamMoments(parameter, first[i], second[i]))];
    }

    public void Dispose()
    {
        First.Dispose();
        Second.Dispose();
    }
}
