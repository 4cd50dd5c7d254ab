using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>How sparse a model is.</summary>
/// <param name="Nonzero">L0: nonzero parameters, buffers left out.</param>
/// <param name="NonzeroWithoutEmbeddings">L0 without wte, wpe, lm_head and the bigram table.</param>
/// <param name="NonzeroFraction">Share of nonzero entries of the attention and MLP matrices.</param>
/// <param name="AliveNeurons">Per layer, the MLP neurons with at least one nonzero weight in and one out.</param>
public sealed record ModelStatistics(long Nonzero, long NonzeroWithoutEmbeddings, double NonzeroFraction, IReadOnlyList<int> AliveNeurons)
{
    public static ModelStatistics Of(ModelParameters parameters)
    {
        long nonzero = 0;
        long withoutEmbeddings = 0;
        long inMatrices = 0;
        long matrixEntries = 0;
        foreach (Parameter parameter in parameters.All.Where(parameter => !parameter.Spec.IsBuffer))
        {
            int count = parameters.Engine.CountNonzero(parameter.Value);
            nonzero += count;
            withoutEmbeddings += parameter.Spec.IsEmbedding ? 0 : count;
            if (parameter.Spec.AliveAxis is not null)
            {
                inMatrices += count;
                matrixEntries += parameter.Spec.Length;
            }
        }

        return new ModelStatistics(
            nonzero,
            withoutEmbeddings,
            (double)inMatrices / matrixEntries,
            [.. Enumerable.Range(0, parameters.Config.NLayer).Select(layer => AliveNeuronsOf(parameters, layer))]
        );
    }

    private static int AliveNeuronsOf(ModelParameters parameters, int layer)
    {
        int neurons = parameters.Config.DMlp;
        float[] into = parameters.Read(ParameterNames.Layer(layer) + "mlp.c_fc.weight");
        float[] outOf = parameters.Read(ParameterNames.Layer(layer) + "mlp.c_proj.weight");
        int inputs = into.Length / neurons;
        int alive = 0;
        for (int neuron = 0; neuron < neurons; neuron++)
        {
            bool reads = into.AsSpan(neuron * inputs, inputs).ContainsAnyExcept(0f);
            bool writes = false;
            for (int i = neuron; i < outOf.Length && !writes; i += neurons)
            {
                writes = outOf[i] != 0;
            }

            alive += reads && writes ? 1 : 0;
        }

        return alive;
    }
}
