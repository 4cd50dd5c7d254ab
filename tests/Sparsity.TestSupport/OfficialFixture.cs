using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Sparsity.TestSupport;

/// <summary>Numbers made with the official code: expected.json and expected.bin of tests/fixtures/official (see the README there).</summary>
public sealed class OfficialFixture
{
    private readonly byte[] _bytes;
    private readonly JsonObject _tensors;

    public OfficialFixture(string jsonPath)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(jsonPath))!.AsObject();
        Meta = json["meta"]!.AsObject();
        _tensors = json["tensors"]!.AsObject();
        _bytes = File.ReadAllBytes(Path.ChangeExtension(jsonPath, ".bin"));
    }

    /// <summary>The folder of the fixtures in this repository.</summary>
    public static string Root { get; } = Path.Combine(RepositoryRoot(), "tests", "fixtures", "official");

    public JsonObject Meta { get; }

    public IEnumerable<string> Names => _tensors.Select(pair => pair.Key);

    public bool Has(string name) => _tensors.ContainsKey(name);

    public int[] Shape(string name) => [.. _tensors[name]!["shape"]!.AsArray().Select(n => (int)n!)];

    public float[] Floats(string name) => Read<float>(name, "f32");

    public int[] Integers(string name) => Read<int>(name, "i32");

    public byte[] Bytes(string name) => Read<byte>(name, "u8");

    /// <summary>
    /// The fixture's own tolerance: 20 times the difference between float32 and float64 runs, plus a millionth of the largest value; for tensors without
    /// the former (Adam's moments after 61 steps), 1e-5 of the largest value.
    /// </summary>
    public double Tolerance(string name)
    {
        JsonNode tensor = _tensors[name]!;
        double largest = (double?)tensor["max_abs"] ?? Floats(name).Max(Math.Abs);
        return (double?)tensor["max_abs_diff_f64"] is { } difference ? (20 * difference) + (1e-6 * largest) : 1e-5 * largest;
    }

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "CircuitSparsity.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("The tests must run inside the repository.");
    }

    private T[] Read<T>(string name, string type)
        where T : unmanaged
    {
        JsonNode tensor = _tensors[name] ?? throw new KeyNotFoundException(name);
        if ((string)tensor["dtype"]! != type)
        {
            throw new InvalidOperationException($"{name} is {tensor["dtype"]}, not {type}.");
        }

        return MemoryMarshal.Cast<byte, T>(_bytes.AsSpan((int)tensor["offset"]!, (int)tensor["nbytes"]!)).ToArray();
    }
}
