using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>
/// A tiny dense model, and a "sparse" one that is the same in other coordinates: four times as many residual channels, of which a shuffled
/// quarter carries the dense channels with shuffled signs and the others stay zero. Bridges that shuffle and unshuffle are then exact
/// inverses.
/// </summary>
internal sealed class ShuffledModel : IDisposable
{
    public const int Channels = 16;
    public const int Wider = 4;

    private readonly IComputeEngine _engine;
    private readonly int[] _places;
    private readonly float[] _signs;
    private readonly float[] _normFactors;

    /// <param name="engine">Where the models live.</param>
    /// <param name="otherNorms">Whether the wide model's norms weigh channels differently, which the matrices behind them make
    /// good.</param>
    public ShuffledModel(IComputeEngine engine, bool otherNorms = false)
    {
        _engine = engine;
        var random = new RandomSource(11);
        int[] places = [.. Enumerable.Range(0, WideConfig.DModel)];
        random.Shuffle<int>(places);
        _places = places[..Channels];
        _signs = [.. _places.Select(_ => random.NextBool() ? 1f : -1f)];
        _normFactors =
        [
            .. _places.Select(_ =>
                !otherNorms ? 1
                : random.NextBool() ? 0.25f
                : 2f
            ),
        ]; // powers of two: nothing is rounded
        Dense = TinyModels.Random(_engine, DenseConfig, 1);
        Wide = new ModelParameters(_engine, WideConfig);
        foreach (Parameter parameter in Wide.All)
        {
            _engine.Write(parameter.Value, Shuffled(parameter.Spec));
        }
    }

    public static ModelConfig DenseConfig { get; } = TinyModels.Config with { Afrac = null };

    public static ModelConfig WideConfig { get; } = DenseConfig with { DModel = Wider * Channels };

    public ModelParameters Dense { get; }

    public ModelParameters Wide { get; }

    public void MakeExact(BridgePairs bridges)
    {
        var identity = new float[Channels * Channels];
        for (int i = 0; i < Channels; i++)
        {
            identity[(i * Channels) + i] = 1;
        }

        for (int location = 0; location < bridges.Locations; location++)
        {
            _engine.Write(bridges.Encoders[location].Weight.Value, MoveRows(identity, Channels));
            _engine.Write(bridges.Decoders[location].Weight.Value, MoveColumns(identity, Channels, _signs));
            _engine.Zero(bridges.Encoders[location].Bias.Value);
            _engine.Zero(bridges.Decoders[location].Bias.Value);
        }
    }

    public void Dispose()
    {
        Dense.Dispose();
        Wide.Dispose();
    }

    /// <summary>A parameter of the wide model: that of the dense one, with its residual channels where they go.</summary>
    private float[] Shuffled(ParameterSpec spec)
    {
        float[] from = Dense.Read(spec.Name);
        if (spec.Columns == WideConfig.DModel && spec.Shape.Count == 1)
        {
            // RMSNorm sees the same squares among four times as many channels: its output is doubled, and so halved here. Biases of c_proj
            // only move.
            bool isNorm = spec.Name.Contains("ln_", StringComparison.Ordinal);
            var vector = new float[WideConfig.DModel];
            for (int i = 0; i < Channels; i++)
            {
                vector[_places[i]] = isNorm ? _normFactors[i] * from[i] / 2 : _signs[i] * from[i];
            }

            return vector;
        }

        bool readsNorm =
            spec.Name.Contains("c_attn", StringComparison.Ordinal)
            || spec.Name.Contains("c_fc", StringComparison.Ordinal)
            || spec.Name == ParameterNames.Unembedding;
        return spec.Columns == WideConfig.DModel
                ? MoveColumns(from, spec.Rows, readsNorm ? [.. _signs.Zip(_normFactors, (sign, factor) => sign / factor)] : _signs)
            : spec.Shape.Count == 2 && spec.Rows == WideConfig.DModel ? MoveRows(from, spec.Columns)
            : from;
    }

    private float[] MoveColumns(float[] from, int rows, float[] factors)
    {
        var to = new float[rows * WideConfig.DModel];
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < Channels; i++)
            {
                to[(row * WideConfig.DModel) + _places[i]] = factors[i] * from[(row * Channels) + i];
            }
        }

        return to;
    }

    private float[] MoveRows(float[] from, int columns)
    {
        var to = new float[WideConfig.DModel * columns];
        for (int i = 0; i < Channels; i++)
        {
            for (int column = 0; column < columns; column++)
            {
                to[(_places[i] * columns) + column] = _signs[i] * from[(i * columns) + column];
            }
        }

        return to;
    }
}
