using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>
/// An engine with tensors for one test. To show what an operation must not depend on or touch, it fills everything that is not an input
/// with <see cref="Garbage"/>: outputs before they are written, the channels beside a slice, and (on engines that have any) the padding
/// lanes of activations.
/// </summary>
internal sealed class Bench : IDisposable
{
    /// <summary>What unwritten memory holds: finite, as the contract for padding lanes is, and far from any result.</summary>
    public const float Garbage = 7777;

    private const int ChannelsBefore = 2;
    private const int ChannelsAfter = 3;

    private readonly List<IDisposable> _owned = [];
    private readonly List<(ActivationTensor Whole, int Channels)> _sliced = [];
    private readonly Action _finish;

    /// <param name="engine">Where tensors live and operations run.</param>
    /// <param name="finish">What to do with the engine when the bench is disposed.</param>
    public Bench(IComputeEngine engine, Action<IComputeEngine> finish)
    {
        Engine = engine;
        _finish = () => finish(engine);
    }

    /// <param name="engine">Disposed with the bench.</param>
    public Bench(IComputeEngine engine)
        : this(engine, used => used.Dispose()) { }

    public IComputeEngine Engine { get; }

    public WeightTensor Weights(double[,] values, string name = "weights")
    {
        WeightTensor tensor = Own(Engine.AllocateWeights(name, values.GetLength(0), values.GetLength(1)));
        Engine.Write(tensor, Flat.Floats(values));
        return tensor;
    }

    public WeightTensor Weights(double[] values, string name = "vector")
    {
        WeightTensor tensor = Own(Engine.AllocateWeights(name, 1, values.Length));
        Engine.Write(tensor, Flat.Floats(values));
        return tensor;
    }

    /// <summary>Weights that hold <paramref name="value"/> everywhere, for gradients that are accumulated into.</summary>
    public WeightTensor Constant(int rows, int columns, double value)
    {
        var values = new double[rows, columns];
        Flat.Of(values).Fill(value);
        return Weights(values);
    }

    /// <summary>An activation with garbage in its padding lanes, and beside it where it is a slice.</summary>
    public ActivationTensor Input(double[,,] values, bool slice = false)
    {
        ActivationTensor tensor = Output(values.GetLength(0), values.GetLength(1), values.GetLength(2), slice);

        // Gathering every token in order writes the tokens and leaves the padding alone.
        Engine.GatherTokens(Gradient(values), AllPositions(tensor), tensor);
        return tensor;
    }

    /// <summary>A gradient: zero in its padding lanes, as every operation must leave it.</summary>
    public ActivationTensor Gradient(double[,,] values, bool slice = false)
    {
        ActivationTensor tensor = slice
            ? Output(values.GetLength(0), values.GetLength(1), values.GetLength(2), slice: true)
            : Own(Engine.AllocateActivations("gradient", values.GetLength(0), values.GetLength(1), values.GetLength(2)));
        Engine.Write(tensor, Flat.Floats(values));
        return tensor;
    }

    /// <summary>Room for a result, full of garbage.</summary>
    public ActivationTensor Output(int sequences, int tokens, int channels, bool slice = false)
    {
        int width = slice ? channels + ChannelsBefore + ChannelsAfter : channels;
        ActivationTensor whole = Own(Engine.AllocateActivations("output", sequences, tokens, width));
        FillWithGarbage(whole);
        if (!slice)
        {
            return whole;
        }

        _sliced.Add((whole, channels));
        return whole.Slice(ChannelsBefore, channels);
    }

    public ActivationTensor OutputLike(ActivationTensor other, bool slice = false) =>
        Output(other.Sequences, other.Tokens, other.Channels, slice);

    public TokenTensor Tokens(int[,] values)
    {
        TokenTensor tensor = Own(Engine.AllocateTokens("tokens", values.GetLength(0), values.GetLength(1)));
        int[] flat = [.. values.Cast<int>()];
        Engine.Write(tensor, flat);
        return tensor;
    }

    public SavedForBackward Kept(ActivationTensor values) =>
        Own(Engine.AllocateSavedForBackward("kept", values.Sequences, values.Tokens, values.Channels));

    public SelectionTensor Selection(ActivationTensor values) =>
        Own(Engine.AllocateSelection("selection", values.Sequences, values.Tokens, values.Channels));

    public float[] Read(ActivationTensor tensor)
    {
        var values = new float[tensor.Length];
        Engine.Read(tensor, values);
        return values;
    }

    public ScalarTensor Scalars(int count) => Own(Engine.AllocateScalars("scalars", count));

    public double[] Read(ScalarTensor tensor)
    {
        Engine.Fetch(tensor);
        return [.. Enumerable.Range(0, tensor.Count).Select(i => tensor[i])];
    }

    public double RootMeanSquare(params WeightTensor[] tensors)
    {
        ScalarTensor result = Scalars(1);
        using WeightList list = Engine.ListWeights("tensors", tensors);
        Engine.RootMeanSquare(list, result, 0);
        return Read(result)[0];
    }

    public float[] Read(WeightTensor tensor)
    {
        var values = new float[tensor.Length];
        Engine.Read(tensor, values);
        return values;
    }

    /// <summary>
    /// Fails if padding lanes of a gradient are not zero: a bias gradient sums all lanes, and must be the sum over the tokens.
    /// </summary>
    public void RequireNoPadding(ActivationTensor gradient, string what)
    {
        int channels = gradient.Channels;
        float[] values = Read(gradient);
        var sums = new double[channels];
        for (int i = 0; i < values.Length; i++)
        {
            sums[i % channels] += values[i];
        }

        ActivationTensor input = Own(Engine.AllocateActivations("zeros", gradient.Sequences, gradient.Tokens, 1));
        WeightTensor biasGradient = Constant(1, channels, 0);
        Engine.LinearBackwardWeight(input, gradient, Constant(channels, 1, 0), biasGradient);
        Comparison.CloseRelative(sums, Read(biasGradient), 1e-4, what + ", padding of the gradient");
    }

    /// <summary>Fails if an operation wrote beside a slice.</summary>
    public void RequireNeighboursUntouched(string what)
    {
        foreach ((ActivationTensor whole, int channels) in _sliced)
        {
            float[] values = Read(whole);
            for (int i = 0; i < values.Length; i++)
            {
                int channel = i % whole.Channels;
                bool inside = channel >= ChannelsBefore && channel < ChannelsBefore + channels;
                if (!inside && values[i] != Garbage)
                {
                    throw new ComparisonException($"{what}: channel {channel} beside a slice of {channels} changed to {values[i]}.");
                }
            }
        }
    }

    public void Dispose()
    {
        foreach (IDisposable tensor in _owned)
        {
            tensor.Dispose();
        }

        _finish();
    }

    /// <summary>A linear layer that is all bias writes every lane, padding included.</summary>
    private void FillWithGarbage(ActivationTensor tensor)
    {
        using ActivationTensor input = Engine.AllocateActivations("zeros", tensor.Sequences, tensor.Tokens, 1);
        using WeightTensor weight = Engine.AllocateWeights("zeros", tensor.Channels, 1);
        using WeightTensor bias = Engine.AllocateWeights("garbage", 1, tensor.Channels);
        var values = new float[tensor.Channels];
        values.AsSpan().Fill(Garbage);
        Engine.Write(bias, values);
        Engine.LinearForward(input, weight, bias, tensor);
    }

    private TokenTensor AllPositions(ActivationTensor tensor)
    {
        var positions = new int[tensor.Sequences, tensor.Tokens];
        for (int b = 0; b < tensor.Sequences; b++)
        {
            for (int t = 0; t < tensor.Tokens; t++)
            {
                positions[b, t] = t;
            }
        }

        return Tokens(positions);
    }

    private T Own<T>(T tensor)
        where T : IDisposable
    {
        _owned.Add(tensor);
        return tensor;
    }
}
