using Sparsity.Core.Model;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Models that have learned nothing, as like a trained one as may be: what a search finds in them it finds anywhere. Attention, MLP and
/// embedding matrices, positions and unembedding are replaced; biases, norms and the bigram table stay, as no circuit is made of them.
/// </summary>
internal static class ControlModel
{
    /// <summary>
    /// Weights drawn anew where trained ones are not zero, with the deviation sqrt(2 / n) of He et al. (2015), n being the mean number of
    /// nonzero weights into an output. Embeddings keep their root mean square.
    /// </summary>
    public static ModelParameters WithRandomWeights(ModelParameters trained, ulong seed) =>
        Changed(
            trained,
            seed,
            "random weights",
            (spec, values, random) =>
            {
                int nonzero = values.Count(value => value != 0);
                bool isEmbedding = spec.Name is ParameterNames.Token or ParameterNames.Position;
                double deviation = isEmbedding
                    ? Math.Sqrt(values.Sum(value => (double)value * value) / Math.Max(1, nonzero))
                    : Math.Sqrt(2.0 * spec.Rows / Math.Max(1, nonzero));
                for (int i = 0; i < values.Length; i++)
                {
                    if (values[i] != 0)
                    {
                        values[i] = (float)(deviation * random.NextNormal());
                    }
                }
            }
        );

    /// <summary>The trained weights of each matrix in another order, zeros among them.</summary>
    public static ModelParameters WithPermutedWeights(ModelParameters trained, ulong seed) =>
        Changed(trained, seed, "permuted weights", (_, values, random) => random.Shuffle<float>(values));

    private static ModelParameters Changed(
        ModelParameters trained,
        ulong seed,
        string purpose,
        Action<ParameterSpec, float[], RandomSource> change
    )
    {
        var changed = new ModelParameters(trained.Engine, trained.Config);
        foreach (Parameter parameter in changed.All)
        {
            float[] values = trained.Read(parameter.Spec.Name);
            if (parameter.Spec.Sparsity is SparsityGroup.Matrix or SparsityGroup.Embedding)
            {
                change(parameter.Spec, values, RandomSource.For(seed, $"{purpose} of {parameter.Spec.Name}"));
            }

            trained.Engine.Write(parameter.Value, values);
        }

        return changed;
    }
}
