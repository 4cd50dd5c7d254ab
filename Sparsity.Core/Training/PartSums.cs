using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>
/// Sums the gradients of a batch's parts in the engine's memory, where one process computes all of them. It takes a second set of gradients
/// there. Adding to the gradients in place would save that, but kernels add in an order of their own: the bits would be others than those
/// of <see cref="GradientExchange"/>.
/// </summary>
internal sealed class PartSums : IGradientSum
{
    private readonly IComputeEngine _engine;
    private readonly WeightList _gradients;
    private readonly WeightList _sums;
    private readonly int _parts;
    private int _part;

    /// <param name="engine">Where the gradients are.</param>
    /// <param name="parts">Of a batch.</param>
    /// <param name="trained">All have gradients.</param>
    public PartSums(IComputeEngine engine, int parts, IReadOnlyList<Parameter> trained)
    {
        _engine = engine;
        _parts = parts;
        _gradients = engine.ListWeights("gradients", [.. trained.Select(parameter => parameter.Gradient!)]);
        _sums = engine.ListWeights(
            "sums of gradients",
            ParameterSpec.Allocate(engine, trained.Select(parameter => parameter.Spec), "sum of the gradients of ")
        );
    }

    public TimeSpan Waited => TimeSpan.Zero;

    /// <summary>The whole part at once, when it ends.</summary>
    public void Finished(int sublayer)
    {
        if (sublayer >= 0)
        {
            return;
        }

        _part++;
        if (_part < _parts)
        {
            _engine.MoveInto(_gradients, _sums);
        }
    }

    public void Complete()
    {
        _engine.MoveInto(_sums, _gradients);
        _part = 0;
    }

    public void Dispose()
    {
        _gradients.Dispose();
        _sums.Dispose();
        foreach (WeightTensor sum in _sums.Tensors)
        {
            sum.Dispose();
        }
    }
}
