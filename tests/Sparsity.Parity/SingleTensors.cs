using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>The operations on lists of weights, on a list of one; those of a linear layer's two gradients as one.</summary>
internal static class SingleTensors
{
    public static void RootMeanSquare(this IComputeEngine engine, WeightTensor tensor, ScalarTensor results, int index)
    {
        using WeightList list = engine.ListWeights("tensor", [tensor]);
        engine.RootMeanSquare(list, results, index);
    }

    public static void AdamStep(
        this IComputeEngine engine,
        WeightTensor weights,
        WeightTensor gradient,
        WeightTensor firstMoment,
        WeightTensor secondMoment,
        float gradientScale,
        float learningRate,
        float beta1,
        float beta2,
        float epsilon,
        int step
    )
    {
        using WeightList list = engine.ListWeights("weights", [weights]);
        using WeightList gradients = engine.ListWeights("gradients", [gradient]);
        using WeightList first = engine.ListWeights("first moments", [firstMoment]);
        using WeightList second = engine.ListWeights("second moments", [secondMoment]);
        engine.AdamStep(list, gradients, first, second, gradientScale, learningRate, beta1, beta2, epsilon, step);
    }

    public static void MoveInto(this IComputeEngine engine, WeightTensor source, WeightTensor target)
    {
        using WeightList sources = engine.ListWeights("source", [source]);
        using WeightList targets = engine.ListWeights("target", [target]);
        engine.MoveInto(sources, targets);
    }

    public static void Scale(this IComputeEngine engine, WeightTensor weights, float factor)
    {
        using WeightList list = engine.ListWeights("weights", [weights]);
        engine.Scale(list, factor);
    }

    public static void KeepLargest(this IComputeEngine engine, WeightTensor weights, int keep, int? aliveAxis, int minimumAlive)
    {
        using WeightList list = engine.ListWeights("weights", [weights]);
        engine.KeepLargest(list, [new WeightBudget(keep, aliveAxis, minimumAlive)]);
    }

    public static void LinearBackwardWeight(
        this IComputeEngine engine,
        ActivationTensor input,
        ActivationTensor outputGradient,
        WeightTensor weightGradient,
        WeightTensor? biasGradient
    )
    {
        engine.LinearBackwardWeight(input, outputGradient, weightGradient);
        if (biasGradient is not null)
        {
            engine.LinearBackwardBias(outputGradient, biasGradient);
        }
    }
}
