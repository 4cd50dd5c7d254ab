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
    private readonly List<WeightTensor> _gradients;

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
        _moments = [.. trained.Select(parameter => AdamMoments.Allocate(engine, parameter))];
        _gradients = [.. _moments.Select(moments => moments.Parameter.Gradient!)];
        GradientRms = engine.AllocateScalars("RMS of the gradient", 1);
    }

    /// <summary>The trained parameters with their moments, in the order of the parameter list.</summary>
    public IReadOnlyList<AdamMoments> Moments => _moments;

    /// <summary>Root mean square over all entries of all gradients together, left by <see cref="MeasureGradient"/>.</summary>
    public ScalarTensor GradientRms { get; }

    public void MeasureGradient() => _engine.RootMeanSquare(_gradients, GradientRms, 0);

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
        foreach (AdamMoments moments in _moments)
        {
            _engine.AdamStep(
                moments.Parameter.Value,
                moments.Parameter.Gradient!,
                moments.First,
                moments.Second,
                (float)scale,
                (float)rate,
                (float)_config.AdamBeta1,
                (float)_config.AdamBeta2,
                (float)_config.Eps,
                step + 1
            );
        }

        _sparsity?.Apply(step);
        var decay = (float)(1 - (_config.WeightDecay * rate));
        foreach (AdamMoments moments in _moments)
        {
            if (moments.Parameter.Spec.IsDecayed)
            {
                _engine.Scale(moments.Parameter.Value, decay);
            }
        }
    }

    public void Dispose()
    {
        GradientRms.Dispose();
        foreach (AdamMoments moments in _moments)
        {
            moments.Dispose();
        }
    }
}

/// <summary>A trained parameter with Adam's running means of its gradient and of the gradient's square.</summary>
internal sealed record AdamMoments(Parameter Parameter, WeightTensor First, WeightTensor Second) : IDisposable
{
    /// <summary>Both means, zero.</summary>
    public static AdamMoments Allocate(IComputeEngine engine, Parameter parameter) =>
        new(
            parameter,
            engine.AllocateWeights("first moment of " + parameter.Spec.Name, parameter.Spec.Rows, parameter.Spec.Columns),
            engine.AllocateWeights("second moment of " + parameter.Spec.Name, parameter.Spec.Rows, parameter.Spec.Columns)
        );

    public void Dispose()
    {
        First.Dispose();
        Second.Dispose();
    }
}
