using System.Text.Json;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Released;
using Sparsity.Core.Runs;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Circuits.Released;

/// <summary>
/// A folder of synthetic circuits in the form of the official release (tests/fixtures/official/official-circuits/README.md), with its model
/// in memory.
/// </summary>
internal sealed class ReleasedFixture : IDisposable
{
    private readonly IComputeEngine _engine = new CpuEngine(1);

    public ReleasedFixture(string folder)
    {
        Folder = folder;
        Expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "expected.json"))).RootElement;
        string model = Directory.GetDirectories(Path.Combine(folder, "models")).Single();
        using StoredModel stored = StoredModel.Open(model);
        Model = new Transformer(stored.Load(_engine));
    }

    /// <summary>That of this repository.</summary>
    public static string Own { get; } = Path.Combine(OfficialFixture.Root, "official-circuits");

    /// <summary>Every such folder, and every circuit in it.</summary>
    public static TheoryData<string, string> Files
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (
                string expected in OfficialFixture
                    .Roots.Select(root => Path.Combine(root, "official-circuits"))
                    .Where(Directory.Exists)
                    .SelectMany(root => Directory.EnumerateFiles(root, "expected.json", SearchOption.AllDirectories))
                    .Order(StringComparer.Ordinal)
            )
            {
                using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(expected));
                foreach (JsonProperty file in json.RootElement.GetProperty("files").EnumerateObject())
                {
                    data.Add(Path.GetDirectoryName(expected)!, file.Name);
                }
            }

            return data;
        }
    }

    public string Folder { get; }

    public JsonElement Expected { get; }

    public Transformer Model { get; }

    /// <summary>Of losses in the file's unit.</summary>
    public double Tolerance => Expected.GetProperty("tolerance").GetProperty("losses_stored").GetDouble();

    public (Circuit Circuit, CircuitInputs Inputs) Import(string file) =>
        new CircuitImport("model", Model, null).Import(Path.Combine(Folder, file));

    public void Dispose()
    {
        Model.Parameters.Dispose();
        _engine.Dispose();
    }
}
