using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>A parameter in an engine's memory, with its gradient where it is trained.</summary>
public sealed class Parameter(ParameterSpec spec, WeightTensor value, WeightTensor? gradient)
{
    /// <summary>All parameters of a list, with gradients for some of them; each kind lies together in the engine's memory.</summary>
    /// <param name="isTrained">Which of them get a gradient.</param>
    internal static Parameter[] AllocateAll(IComputeEngine engine, IReadOnlyList<ParameterSpec> specs, Func<ParameterSpec, bool> isTrained)
    {
        IReadOnlyList<WeightTensor> values = ParameterSpec.Allocate(engine, specs);
        var gradients = new Queue<WeightTensor>(ParameterSpec.Allocate(engine, specs.Where(isTrained), "gradient of "));
        return [.. specs.Zip(values, (spec, value) => new Parameter(spec, value, isTrained(spec) ? gradients.Dequeue() : null))];
    }

    public ParameterSpec Spec { get; } = spec;

    public WeightTensor Value { get; } = value;

    /// <summary>Null where the parameter is frozen.</summary>
    public WeightTensor? Gradient { get; } = gradient;
}
