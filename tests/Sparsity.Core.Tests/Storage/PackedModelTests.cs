using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

public sealed class PackedModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static string Small => Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128"));

    [Fact]
    public void MatricesKeepTheirNonzeroWeightsIn16BitsAndAllElseItsBits()
    {
        using StoredModel model = StoredModel.Open(Small);
        model.Save(_folder.Path, ModelFolderKind.Packed);
        using StoredModel packed = StoredModel.Open(_folder.Path);

        Assert.Equal(model.Config, packed.Config);
        int rounded = 0;
        foreach (ParameterSpec spec in ParameterSpec.ListFor(model.Config))
        {
            float[] values = model.Values(spec).ToArray();
            float[] expected = spec.Shape.Count < 2 ? values : Array.ConvertAll(values, value => (float)(Half)value);
            Comparison.SameBits(expected, packed.Values(spec), spec.Name);
            rounded += values.Zip(expected).Count(pair => pair.First != pair.Second);
        }

        Assert.True(rounded > 1000); // or nothing was shown of the rounding
        byte[] first = File.ReadAllBytes(_folder["model.safetensors"]);
        packed.Save(_folder.Path, ModelFolderKind.Packed);
        Assert.Equal(first, File.ReadAllBytes(_folder["model.safetensors"]));
    }

    [Fact]
    public void SmallEntriesOfTheBigramTableCanBeLeftOut()
    {
        using StoredModel model = StoredModel.Open(Small);
        ParameterSpec table = ParameterSpec.ListFor(model.Config).Single(spec => spec.Name == ParameterNames.Bigram);
        ParameterSpec other = ParameterSpec.ListFor(model.Config).Single(spec => spec.Name == ParameterNames.Token);
        float[] values = model.Values(table).ToArray();
        model.Save(_folder.Path, ModelFolderKind.Packed, smallestBigram: 0.25);
        using StoredModel packed = StoredModel.Open(_folder.Path);

        float[] expected = Array.ConvertAll(values, value => Math.Abs(value) < 0.25 ? 0 : (float)(Half)value);
        Comparison.SameBits(expected, packed.Values(table), table.Name);
        Assert.InRange(expected.Count(value => value == 0), 1000, expected.Length - 1000);
        Comparison.SameBits(Array.ConvertAll(model.Values(other).ToArray(), value => (float)(Half)value), packed.Values(other), other.Name);
    }

    /// <summary>As docs/formats.md says, read from the bytes without this program's reader.</summary>
    [Fact]
    public void AnotherProgramCanReadItByTheDocument()
    {
        float[] numbers = new float[3 * 400];
        (numbers[0], numbers[7], numbers[8], numbers[300], numbers[1199]) = (1.5f, -2, 0.25f, 65504, -3);
        Write(numbers, [3, 400]);

        byte[] file = File.ReadAllBytes(_folder["t.safetensors"]);
        int headerLength = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        JsonNode header = JsonNode.Parse(file.AsSpan(8, headerLength))!;
        Assert.Equal("3,400", (string)header["__metadata__"]!["shape/w"]!);
        Assert.Equal("F16", (string)header["w.values"]!["dtype"]!);
        Assert.Equal("U8", (string)header["w.gaps"]!["dtype"]!);
        float[] values = [.. MemoryMarshal.Cast<byte, Half>(Part("w.values")).ToArray().Select(value => (float)value)];
        byte[] gaps = Part("w.gaps").ToArray();

        // From 8 to 300 lie 291 zeros: 256 places end in a stored zero, 35 are left. From 300 to 1199 lie 898: three times 256, then 130.
        Assert.Equal([1.5f, -2, 0.25f, 0, 65504, 0, 0, 0, -3], values);
        Assert.Equal([0, 6, 0, 255, 35, 255, 255, 255, 130], gaps);

        ReadOnlySpan<byte> Part(string name)
        {
            int[] offsets = [.. header[name]!["data_offsets"]!.AsArray().Select(offset => (int)offset!)];
            return file.AsSpan(8 + headerLength + offsets[0], offsets[1] - offsets[0]);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(600)]
    public void RunsOfZerosOfAnyLengthComeBack(int zeros)
    {
        float[] numbers = [.. new float[zeros], 4, .. new float[zeros], -0.5f, .. new float[zeros]];
        Write(numbers, [numbers.Length]);

        using TensorFile file = Safetensors.Open(_folder["t.safetensors"]);
        StoredTensor tensor = Assert.Single(file.Tensors);
        Assert.Equal("w", tensor.Name);
        Assert.Equal([numbers.Length], tensor.Shape);
        Assert.Equal(numbers, tensor.Floats().ToArray());
    }

    [Fact]
    public void AWeightThat16BitsCannotHoldIsRefused()
    {
        var refused = Assert.Throws<BadInputException>(() => Write([1, 70000], [2]));
        Assert.Contains("w has a weight of 70000, but 16 bits hold at most 65500", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2,2", new byte[] { 0, 1 }, 2, null)]
    [InlineData("2,2", new byte[] { 0, 3 }, 2, "value 1 lies behind its 4 places")]
    [InlineData("2,2", new byte[] { 0 }, 2, "2 values and 1 gaps")]
    [InlineData("1", new byte[] { 0, 0 }, 2, "2 values and 2 gaps")]
    [InlineData("2,x", new byte[] { 0, 1 }, 2, "its shape is 2,x")]
    [InlineData("-2,-2", new byte[] { 0, 1 }, 2, "its shape is -2,-2")]
    [InlineData("99999,99999", new byte[] { 0, 1 }, 2, "its shape is 99999,99999")]
    public void DamageIsNamed(string shape, byte[] gaps, int count, string? complaint)
    {
        Half[] values = [.. Enumerable.Repeat((Half)2, count)];
        Safetensors.Write(
            _folder["t.safetensors"],
            [
                new TensorToWrite("w.values", [count], ElementType.F16, () => MemoryMarshal.AsBytes<Half>(values)),
                new TensorToWrite("w.gaps", [gaps.Length], ElementType.U8, () => gaps),
            ],
            new Dictionary<string, string> { ["shape/w"] = shape }
        );

        if (complaint is null)
        {
            Assert.Equal([2, 0, 2, 0], Read());
        }
        else
        {
            var refused = Assert.Throws<BadInputException>(Read);
            Assert.Contains($"w is damaged: ", refused.Message, StringComparison.Ordinal);
            Assert.Contains(complaint, refused.Message, StringComparison.Ordinal);
        }

        float[] Read()
        {
            using TensorFile file = Safetensors.Open(_folder["t.safetensors"]);
            return file.ByName["w"].Floats().ToArray();
        }
    }

    [Fact]
    public void APackedTensorWithoutItsGapsIsRefused()
    {
        Half[] values = [Half.One];
        Safetensors.Write(
            _folder["t.safetensors"],
            [new TensorToWrite("w.values", [1], ElementType.F16, () => MemoryMarshal.AsBytes<Half>(values))],
            new Dictionary<string, string> { ["shape/w"] = "1" }
        );

        var refused = Assert.Throws<BadInputException>(() => Safetensors.Open(_folder["t.safetensors"]));
        Assert.Contains("the file has no w.gaps", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MeansComeBackForLayoutsWithAndWithoutTheLastResidual()
    {
        using StoredModel model = StoredModel.Open(Small);
        var whole = new NodeLayout(model.Config, finalResid: true);
        var paper = new NodeLayout(model.Config);
        float[] means = [.. Enumerable.Range(0, whole.Count).Select(i => i / 8f)];
        string path = _folder[MeansFile.Name];
        MeansFile.Write(path, whole, means, "weights");

        Assert.Equal(means, MeansFile.Read(path, whole, "weights", ""));
        Assert.Equal(means[..paper.Count], MeansFile.Read(path, paper, "weights", ""));
        Assert.Contains(
            "belongs to another model",
            Assert.Throws<BadInputException>(() => MeansFile.Read(path, paper, "others", "")).Message,
            StringComparison.Ordinal
        );
    }

    private void Write(float[] numbers, int[] shape)
    {
        string path = _folder["t.safetensors"];
        (TensorToWrite[] tensors, KeyValuePair<string, string> entry) = PackedTensors.Pack("w", shape, numbers, path);
        Safetensors.Write(path, tensors, new Dictionary<string, string>([entry]));
    }
}
