using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>All parameters of a model in an engine's memory, in the order of <see cref="ParameterSpec.ListFor"/>.</summary>
public sealed class ModelParameters : IDisposable
{
    private readonly Dictionary<string, Parameter> _byName;

    /// <param name="engine">Where they live.</param>
    /// <param name="config">What there is of them.</param>
    /// <param name="isTrained">Which of those that are no buffers get a gradient; null for none.</param>
    public ModelParameters(IComputeEngine engine, ModelConfig config, Func<ParameterSpec, bool>? isTrained = null)
    {
        Engine = engine;
        Config = config;
        All = Parameter.AllocateAll(engine, ParameterSpec.ListFor(config), spec => !spec.IsBuffer && isTrained?.Invoke(spec) == true);
        _byName = All.ToDictionary(parameter => parameter.Spec.Name);
    }

    public IComputeEngine Engine { get; }

    public ModelConfig Config { get; }

    public IReadOnlyList<Parameter> All { get; }

    /// <summary>Those that have a gradient.</summary>
    public IEnumerable<Parameter> Trained => All.Where(parameter => parameter.Gradient is not null);

    /// <exception cref="BadInputException">The model has no parameter of that name.</exception>
    public Parameter this[string name] =>
        _byName.TryGetValue(name, out Parameter? parameter)
            ? parameter
            : throw new BadInputException(
                $"the model has no parameter '{name}'. Names are those of the official code, such as {All[^1].Spec.Name}."
            );

    /// <summary>Whether the memory was given back.</summary>
    internal bool IsDisposed { get; private set; }

    public Parameter? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The matrix that turns the last residual into logits: lm_head, or wte where tied.</summary>
    public Parameter Unembedding => _byName[Config.TiedUnembed ? ParameterNames.Token : ParameterNames.Unembedding];

    /// <summary>
    /// Draws the initial weights (docs/method.md section 1). The bigram table starts uniform in [0, 0.02) where it is learned, sinusoids
    /// are what they are, and wpe starts at zero where it is added (the official script zeroes it).
    /// </summary>
    public void Initialise(ulong seed)
    {
        // Each parameter has a random sequence of its own, so they can be drawn at the same time.
        IEnumerable<(Parameter Parameter, float[] Values)> drawn = All.AsParallel()
            .AsOrdered()
            .WithMergeOptions(ParallelMergeOptions.NotBuffered)
            .Select(parameter => (parameter, parameter.Spec.DrawInitial(seed)));
        foreach ((Parameter parameter, float[] values) in drawn)
        {
            ParameterSpec spec = parameter.Spec;
            if (spec.Name == ParameterNames.Bigram && Config.LearnableBigramTable)
            {
                var random = RandomSource.For(seed, "initial " + spec.Name);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = 0.02f * (float)random.NextDouble();
                }
            }
            else if (spec.Name == ParameterNames.Position)
            {
                if (Config.DPosEmb is null)
                {
                    values.AsSpan().Clear();
                }
                else if (Config.SinusoidalCatPosEmb)
                {
                    Sinusoids(values, Config.BlockSize, Config.DPosEmb.Value);
                }
            }

            Engine.Write(parameter.Value, values);
        }
    }

    /// <summary>A host copy of a parameter's values.</summary>
    public float[] Read(string name)
    {
        Parameter parameter = this[name];
        var values = new float[parameter.Spec.Length];
        Engine.Read(parameter.Value, values);
        return values;
    }

    /// <summary>Hexadecimal SHA-256 over names and values of all parameters: tells whether two files hold the same model.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Parameter parameter in All)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(parameter.Spec.Name));
            hash.AppendData(MemoryMarshal.AsBytes<float>(Read(parameter.Spec.Name)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public void Dispose()
    {
        IsDisposed = true;
        foreach (Parameter parameter in All)
        {
            parameter.Value.Dispose();
            parameter.Gradient?.Dispose();
        }
    }

    /// <summary>
    /// First half sines, second half cosines, periods log-spaced from 4 to block_size tokens; an odd last channel is zero.
    /// </summary>
    private static void Sinusoids(Span<float> values, int blockSize, int channels)
    {
        int half = Math.Max(1, channels / 2);
        double longest = Math.Max(4.0, blockSize);
        values.Clear();
        for (int i = 0; i < half; i++)
        {
            double exponent = half == 1 ? Math.Log10(4) : Math.Log10(4) + ((Math.Log10(longest) - Math.Log10(4)) * i / (half - 1));
            var frequency = (float)(2 * Math.PI / (float)Math.Pow(10, exponent));
            for (int position = 0; position < blockSize; position++)
            {
                float angle = position * frequency;
                values[(position * channels) + i] = MathF.Sin(angle);
                if (half + i < channels)
                {
                    values[(position * channels) + half + i] = MathF.Cos(angle);
                }
            }
        }
    }
}
