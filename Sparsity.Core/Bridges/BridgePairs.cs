using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Bridges;

/// <summary>
/// An encoder and a decoder for each residual that a sublayer reads, and for the final one where asked for (docs/method.md section 5):
/// f: [B,T,D dense] -> linear -> AbsTopK -> [B,T,D sparse], and g: [B,T,D sparse] -> linear -> [B,T,D dense].
/// </summary>
internal sealed class BridgePairs : IDisposable
{
    /// <param name="engine">Where they live.</param>
    /// <param name="dense">The dense model.</param>
    /// <param name="sparse">The sparse model.</param>
    /// <param name="config">Validated.</param>
    /// <param name="isTrained">Whether they get gradients.</param>
    /// <exception cref="BadInputException">The models differ in layers or vocabulary.</exception>
    public BridgePairs(IComputeEngine engine, ModelConfig dense, ModelConfig sparse, BridgeConfig config, bool isTrained)
    {
        RequireMatch(dense, sparse);
        Engine = engine;
        Config = config;
        SparseConfig = sparse;
        Kept = config.EncoderFraction is { } fraction ? Math.Max(1, (int)(fraction * sparse.DModel)) : null;
        All = Parameter.AllocateAll(engine, [.. ListFor(dense, sparse, config)], _ => isTrained);
        Encoders = [.. All.Chunk(4).Select(four => new BridgeMap(four[0], four[1]))];
        Decoders = [.. All.Chunk(4).Select(four => new BridgeMap(four[2], four[3]))];
    }

    public IComputeEngine Engine { get; }

    public BridgeConfig Config { get; }

    public ModelConfig SparseConfig { get; }

    /// <summary>Channels that AbsTopK keeps after an encoder; null where there is none.</summary>
    public int? Kept { get; }

    /// <summary>2L, and one more where the final residual has a bridge.</summary>
    public int Locations => Encoders.Count;

    /// <summary>Every parameter: location by location, encoder before decoder, weight before bias.</summary>
    public IReadOnlyList<Parameter> All { get; }

    /// <summary>f of each location.</summary>
    public IReadOnlyList<BridgeMap> Encoders { get; }

    /// <summary>g of each location.</summary>
    public IReadOnlyList<BridgeMap> Decoders { get; }

    /// <summary>The one list of a bridge's parameters.</summary>
    public static IEnumerable<ParameterSpec> ListFor(ModelConfig dense, ModelConfig sparse, BridgeConfig config)
    {
        int before = (2 * sparse.NLayer) + 1; // the plain backward pass comes after the hybrid ones, which finish the bridges
        for (int location = 0; location < (2 * sparse.NLayer) + (config.FinalLocation ? 1 : 0); location++)
        {
            string prefix = $"bridges.{Transformer.SiteOfResidual(sparse, location)}.";
            foreach (
                (string name, int outputs, int inputs) in new[]
                {
                    ("encoder", sparse.DModel, dense.DModel),
                    ("decoder", dense.DModel, sparse.DModel),
                }
            )
            {
                // Deviation 1/sqrt(inputs): an untrained map keeps the size of what it maps; see Coupling.MatchSizes.
                yield return new ParameterSpec($"{prefix}{name}.weight", [outputs, inputs], InitialDeviation: 1 / MathF.Sqrt(inputs))
                {
                    Sublayer = before,
                };
                yield return new ParameterSpec($"{prefix}{name}.bias", [outputs]) { Sublayer = before };
            }
        }
    }

    /// <summary>Draws the initial weights; biases are zero.</summary>
    public void Initialise(ulong seed)
    {
        foreach (Parameter parameter in All)
        {
            Engine.Write(parameter.Value, parameter.Spec.DrawInitial(seed));
        }
    }

    public void Dispose()
    {
        foreach (Parameter parameter in All)
        {
            parameter.Value.Dispose();
            parameter.Gradient?.Dispose();
        }
    }

    /// <exception cref="BadInputException">The models differ in layers or vocabulary.</exception>
    internal static void RequireMatch(ModelConfig dense, ModelConfig sparse)
    {
        if (dense.NLayer != sparse.NLayer)
        {
            throw new BadInputException(
                $"The dense model has {dense.NLayer} layers and the sparse one {sparse.NLayer}, but bridges join residuals of equal "
                    + $"layers. Give models with the same number of layers."
            );
        }

        if (dense.VocabSize != sparse.VocabSize)
        {
            throw new BadInputException(
                $"The dense model's vocabulary has {dense.VocabSize} tokens and the sparse one's {sparse.VocabSize}, but bridges "
                    + $"compare their predictions. Give models with the same vocabulary."
            );
        }
    }
}

/// <summary>A linear map with a bias: weight [outputs, inputs].</summary>
internal sealed record BridgeMap(Parameter Weight, Parameter Bias)
{
    /// <summary>Overwrites <paramref name="output"/>.</summary>
    public void Forward(IComputeEngine engine, ActivationTensor input, ActivationTensor output) =>
        engine.LinearForward(input, Weight.Value, Bias.Value, output);

    /// <summary>Accumulates into the gradients of weight and bias.</summary>
    public void BackwardWeight(IComputeEngine engine, ActivationTensor input, ActivationTensor outputGradient)
    {
        engine.LinearBackwardWeight(input, outputGradient, Weight.Gradient!);
        engine.LinearBackwardBias(outputGradient, Bias.Gradient!);
    }
}
