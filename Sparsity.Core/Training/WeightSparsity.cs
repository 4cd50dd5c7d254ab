using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>Keeps each parameter within its nonzero budget after every step (spec section 2, step 5; official apply_topk_).</summary>
public sealed class WeightSparsity
{
    private readonly ModelParameters _parameters;
    private readonly TrainingConfig _config;

    /// <exception cref="BadInputException">The minimum alive asks for more entries than the target allows.</exception>
    public WeightSparsity(ModelParameters parameters, TrainingConfig config, int lastStep)
    {
        _parameters = parameters;
        _config = config;
        Schedule = new Schedule(config, lastStep);
        foreach (Parameter parameter in parameters.Trained.Where(IsSelected))
        {
            ParameterSpec spec = parameter.Spec;
            int lines = spec.AliveAxis is null ? 0 : spec.AliveAxis == 1 ? spec.Rows : spec.Columns;
            long needed = (long)lines * config.MinimumAlivePerNeuron;
            int kept = Kept(spec, lastStep);
            if (needed > kept)
            {
                throw new BadInputException(
                    $"{spec.Name}: {config.MinimumAlivePerNeuron} entries alive for each of {lines} neurons make {needed}, but the sparsity target keeps {kept} of {spec.Length}. "
                    + "Raise density (or pfrac), or lower minimum_alive_per_neuron.");
            }
        }
    }

    public Schedule Schedule { get; }

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
        foreach (Parameter parameter in _parameters.All)
        {
            if (parameter.Gradient is null || !IsSelected(parameter))
            {
                continue;
            }

            int kept = Kept(parameter.Spec, step);
            if (kept < parameter.Spec.Length)
            {
                _parameters.Engine.KeepLargest(parameter.Value, kept, parameter.Spec.AliveAxis, _config.MinimumAlivePerNeuron);
            }
        }
    }

    private bool IsSelected(Parameter parameter) =>
        _config.Pfrac is not null && parameter.Spec.Sparsity != SparsityGroup.Dense && (parameter.Spec.Sparsity != SparsityGroup.Bias || _config.SparseBiases);
}
