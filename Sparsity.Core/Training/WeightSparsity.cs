using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>Keeps each parameter within its nonzero budget after every step (spec section 2, step 5; official apply_topk_).</summary>
public sealed class WeightSparsity
{
    private readonly IComputeEngine _engine;
    private readonly Parameter[] _selected;
    private readonly TrainingConfig _config;

    /// <param name="parameters">Those with a gradient are kept sparse.</param>
    /// <param name="config">Resolved.</param>
    /// <param name="lastStep">N: steps run 0..N.</param>
    public WeightSparsity(ModelParameters parameters, TrainingConfig config, int lastStep)
    {
        _engine = parameters.Engine;
        _config = config;
        _selected = [.. parameters.Trained.Where(parameter => IsSelected(parameter.Spec))];
        Schedule = new Schedule(config, lastStep);
    }

    public Schedule Schedule { get; }

    /// <summary>To be called before a run, so that it does not end in the middle.</summary>
    /// <exception cref="BadInputException">At some step the minimum alive asks for more entries than the budget allows.</exception>
    public void RequirePossible(int lastStep)
    {
        foreach (Parameter parameter in _selected)
        {
            ParameterSpec spec = parameter.Spec;
            int lines = spec.AliveAxis is null ? 0 : spec.AliveAxis == 1 ? spec.Rows : spec.Columns;
            long needed = (long)lines * _config.MinimumAlivePerNeuron;

            // The budget moves one way only: it is smallest at one of its ends.
            int kept = Math.Min(Kept(spec, 0), Kept(spec, lastStep));
            if (needed > kept)
            {
                throw new BadInputException(
                    $"{spec.Name}: {_config.MinimumAlivePerNeuron} entries alive for each of {lines} neurons make {needed}, but the sparsity target keeps {kept} of {spec.Length}. "
                    + "Raise density (or pfrac), or lower minimum_alive_per_neuron.");
            }
        }
    }

    /// <summary>Where the budget does not fall from dense, makes the weights sparse before the first step (official script).</summary>
    public void ApplyAtStart()
    {
        if (!_config.PfracAnneal)
        {
            Apply(0);
        }
    }

    /// <summary>Entries of a parameter that may be nonzero at a step; its length where it is not selected.</summary>
    public int Kept(ParameterSpec spec, int step) => spec.Sparsity switch
    {
        SparsityGroup.Matrix => (int)(Schedule.MatrixFraction(step) * spec.Length),
        SparsityGroup.Embedding or SparsityGroup.Bias => (int)(Schedule.EmbeddingFraction(step) * spec.Length),
        _ => spec.Length,
    };

    /// <summary>Zeroes, in every selected parameter, all but the largest entries.</summary>
    public void Apply(int step)
    {
        foreach (Parameter parameter in _selected)
        {
            int kept = Kept(parameter.Spec, step);
            if (kept < parameter.Spec.Length)
            {
                _engine.KeepLargest(parameter.Value, kept, parameter.Spec.AliveAxis, _config.MinimumAlivePerNeuron);
            }
        }
    }

    private bool IsSelected(ParameterSpec spec) =>
        _config.Pfrac is not null && spec.Sparsity != SparsityGroup.Dense && (spec.Sparsity != SparsityGroup.Bias || _config.SparseBiases);
}
