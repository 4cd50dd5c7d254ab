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
    private readonly (WeightTensor Gradient, WeightTensor Sum)[] _pairs;
    private readonly int _parts;
    private int _part;

    /// <param name="engine">Where the gradients are.</param>
    /// <param name="parts">Of a batch.</param>
    /// <param name="trained">All have gradients.</param>
    public PartSums(IComputeEngine engine, int parts, IEnumerable<Parameter> trained)
    {
        _engine = engine;
        _parts = parts;
        _pairs =
        [
            .. trained.Select(parameter =>
                (
                    parameter.Gradient!,
                    engine.AllocateWeights("sum of the gradients of " + parameter.Spec.Name, parameter.Spec.Rows, parameter.Spec.Columns)
                )
            ),
        ];
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
            foreach ((WeightTensor gradient, WeightTensor sum) in _pairs)
            {
                _engine.MoveInto(gradient, sum);
            }
        }
    }

    public void Complete()
    {
        foreach ((WeightTensor gradient, WeightTensor sum) in _pairs)
        {
            _engine.MoveInto(sum, gradient);
        }

        _part = 0;
    }

    public void Dispose()
    {
        foreach ((_, WeightTensor sum) in _pairs)
        {
            sum.Dispose();
        }
    }
}
