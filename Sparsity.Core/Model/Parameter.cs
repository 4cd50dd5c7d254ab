using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>A parameter in an engine's memory, with its gradient where it is trained.</summary>
public sealed class Parameter(ParameterSpec spec, WeightTensor value, WeightTensor? gradient)
{
    public ParameterSpec Spec { get; } = spec;

    public WeightTensor Value { get; } = value;

    /// <summary>Null where the parameter is frozen.</summary>
    public WeightTensor? Gradient { get; } = gradient;
}
