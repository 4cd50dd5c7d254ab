using System.Runtime.InteropServices;
using System.Text.Json;

namespace Sparsity.Parity;

/// <summary>Numbers from the official code: NAME.json names the tensors in NAME.bin (tests/fixtures/official/README.md).</summary>
internal sealed class OfficialFixture
{
    private const string Variable = "SPARSITY_FIXTURES";

    private readonly JsonElement _tensors;
    private readonly byte[] _data;

    /// <param name="name">Where the numbers come from, for messages.</param>
    /// <param name="json">The text of NAME.json.</param>
    /// <param name="data">The bytes of NAME.bin.</param>
    public OfficialFixture(string name, ReadOnlyMemory<byte> json, byte[] data)
    {
        Name = name;
        JsonElement root = JsonDocument.Parse(json).RootElement;
        Meta = root.GetProperty("meta");
        _tensors = root.GetProperty("tensors");
        _data = data;
    }

    /// <summary>Where the numbers come from, for messages.</summary>
    public string Name { get; }

    /// <summary>Settings and scalar results.</summary>
    public JsonElement Meta { get; }

    public IEnumerable<string> TensorNames => _tensors.EnumerateObject().Select(property => property.Name);

    /// <param name="name">Without extension, below tests/fixtures/official: "units/apply_topk".</param>
    public static OfficialFixture Open(string name) => At(Path.Combine(Root, Path.Combine(name.Split('/'))));

    /// <param name="path">Anywhere, without extension.</param>
    public static OfficialFixture At(string path) => new(path, File.ReadAllBytes(path + ".json"), File.ReadAllBytes(path + ".bin"));

    /// <summary>
    /// Single training steps, with AbsTopK at the usual eight places and annealed weights: the fixture that this library carries.
    /// </summary>
    public static OfficialFixture CarriedSteps { get; } =
        new("official single steps", Resource("single/expected.json"), Resource("single/expected.bin"));

    /// <summary>The folder of the fixtures in this repository.</summary>
    public static string Root => Path.Combine(RepositoryRoot(), "tests", "fixtures", "official");

    /// <summary>That folder, and the one that the environment variable SPARSITY_FIXTURES names, laid out in the same way.</summary>
    public static IEnumerable<string> Roots
    {
        get
        {
            yield return Root;
            if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } further)
            {
                yield return Directory.Exists(further)
                    ? Path.GetFullPath(further)
                    : throw new DirectoryNotFoundException($"{Variable} is {further}, which is no directory.");
            }
        }
    }

    public bool Contains(string tensor) => _tensors.TryGetProperty(tensor, out _);

    public int[] Shape(string tensor) => [.. Entry(tensor).GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())];

    public float[] Floats(string tensor) => Values<float>(tensor, "f32");

    public int[] Integers(string tensor) => Values<int>(tensor, "i32");

    public byte[] Bytes(string tensor) => Values<byte>(tensor, "u8");

    /// <summary>The largest difference of the official float32 run from its float64 run; null where it is not stated.</summary>
    public double? StatedError(string tensor) =>
        Entry(tensor).TryGetProperty("max_abs_diff_f64", out JsonElement error) ? error.GetDouble() : null;

    /// <summary>
    /// <see cref="StatedError"/>; where there is none (Adam's moments, single steps) 4.5e-7 of the largest magnitude, which is its median
    /// over the gradients of the forward fixtures.
    /// </summary>
    public double Error(string tensor) => StatedError(tensor) ?? 4.5e-7 * LargestMagnitude(tensor);

    /// <summary>The tolerance the fixtures' README states: 20 times <see cref="Error"/>, plus 1e-6 of the largest magnitude.</summary>
    public double Tolerance(string tensor) => (20 * Error(tensor)) + (1e-6 * LargestMagnitude(tensor));

    public double LargestMagnitude(string tensor) =>
        Entry(tensor).TryGetProperty("max_abs", out JsonElement stated) ? stated.GetDouble() : Floats(tensor).Max(Math.Abs);

    /// <summary>Fails unless every number of <paramref name="actual"/> is within <see cref="Tolerance"/> of the tensor's.</summary>
    public void RequireClose(string tensor, ReadOnlySpan<float> actual) =>
        Comparison.Close(Array.ConvertAll(Floats(tensor), value => (double)value), actual, Tolerance(tensor), $"{Name}: {tensor}");

    private static byte[] Resource(string name)
    {
        using Stream stream = typeof(OfficialFixture).Assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The folder of the sources that this was built from.</summary>
    public static string RepositoryRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "CircuitSparsity.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException(
            $"No folder above {AppContext.BaseDirectory} holds CircuitSparsity.sln: run the tests inside the repository."
        );
    }

    private JsonElement Entry(string tensor) =>
        _tensors.TryGetProperty(tensor, out JsonElement entry)
            ? entry
            : throw new KeyNotFoundException($"{Name}.json has no tensor {tensor}.");

    private T[] Values<T>(string tensor, string type)
        where T : unmanaged
    {
        JsonElement entry = Entry(tensor);
        string? given = entry.GetProperty("dtype").GetString();
        if (given != type)
        {
            throw new InvalidDataException($"{Name}.json: {tensor} is {given}, not {type}.");
        }

        return MemoryMarshal
            .Cast<byte, T>(_data.AsSpan(entry.GetProperty("offset").GetInt32(), entry.GetProperty("nbytes").GetInt32()))
            .ToArray();
    }
}
