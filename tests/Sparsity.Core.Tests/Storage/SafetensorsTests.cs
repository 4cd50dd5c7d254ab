using System.Buffers.Binary;
using System.Text;
using Sparsity.Core.Files;
using Sparsity.Core.Tensors;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EveryTypeComesBackBitForBit()
    {
        var random = new RandomSource(5);
        var written = new Dictionary<string, byte[]>();
        foreach (ElementType type in Enum.GetValues<ElementType>())
        {
            written[$"größe.{type}"] = [.. Enumerable.Range(0, 6 * Size(type)).Select(_ => (byte)random.NextInt(256))];
        }

        string path = _folder["all.safetensors"];
        Safetensors.Write(
            path,
            [
                .. Enum.GetValues<ElementType>()
                    .Select(type => new TensorToWrite($"größe.{type}", [3, 2], type, () => written[$"größe.{type}"])),
                TensorToWrite.Of("scalar", [], () => new[] { 1.5f }),
                TensorToWrite.Of("empty", [0, 7], () => Array.Empty<int>()),
            ],
            new Dictionary<string, string> { ["b"] = "2", ["a"] = "1\n\"" }
        );
        using TensorFile file = Safetensors.Open(path);

        Assert.Equal(0, BinaryPrimitives.ReadInt64LittleEndian(File.ReadAllBytes(path)) % 8);
        Assert.Equal("1\n\"", file.Metadata["a"]);
        foreach (ElementType type in Enum.GetValues<ElementType>())
        {
            StoredTensor tensor = file.ByName[$"größe.{type}"];
            Assert.Equal(type, tensor.Type);
            Assert.Equal([3, 2], tensor.Shape);
            Assert.Equal(written[tensor.Name], tensor.Bytes());
        }

        Assert.Equal([1.5f], file.ByName["scalar"].Floats().ToArray());
        Assert.Equal([], file.ByName["scalar"].Shape);
        Assert.Equal([0, 7], file.ByName["empty"].Shape);
        Assert.Equal([], file.ByName["empty"].Bytes());
    }

    /// <summary>
    /// Values worked out by hand from the formats' definitions; all bits of every float16 are compared with double arithmetic.
    /// </summary>
    [Fact]
    public void NarrowFloatsWidenExactly()
    {
        ushort[] all = [.. Enumerable.Range(0, 65536).Select(bits => (ushort)bits)];
        string path = _folder["narrow.safetensors"];
        Safetensors.Write(
            path,
            [
                new TensorToWrite("f16", [65536], ElementType.F16, () => System.Runtime.InteropServices.MemoryMarshal.AsBytes<ushort>(all)),
                new TensorToWrite("bf16", [4], ElementType.BF16, () => new byte[] { 0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00, 0x80, 0x7f }),
            ],
            new Dictionary<string, string>()
        );
        using TensorFile file = Safetensors.Open(path);

        float[] halves = file.ByName["f16"].Floats().ToArray();
        for (int bits = 0; bits < 65536; bits++)
        {
            int exponent = (bits >> 10) & 31;
            double fraction = (bits & 1023) / 1024.0;
            double magnitude =
                exponent == 0 ? fraction * Math.Pow(2, -14)
                : exponent == 31 ? (fraction == 0 ? double.PositiveInfinity : double.NaN)
                : (1 + fraction) * Math.Pow(2, exponent - 15);
            Assert.Equal(bits < 32768 ? magnitude : -magnitude, halves[bits]);
        }

        Assert.Equal(
            [1f, -3.140625f, BitConverter.Int32BitsToSingle(0x10000), float.PositiveInfinity],
            file.ByName["bf16"].Floats().ToArray()
        );
    }

    /// <summary>Other programs write null where they have nothing to say.</summary>
    [Fact]
    public void MetadataMayBeNull()
    {
        string path = _folder["null.safetensors"];
        byte[] header = Encoding.UTF8.GetBytes("""{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""");
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)header.Length), .. header, 7]);
        using TensorFile file = Safetensors.Open(path);
        Assert.Empty(file.Metadata);
        Assert.Equal(["a"], file.Tensors.Select(tensor => tensor.Name));
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("final_model.pt")]
    [InlineData("config.json")]
    [InlineData("vocab.bpe")]
    public void AGitLfsPointerIsNamed(string name)
    {
        string path = _folder[name];
        File.WriteAllText(path, $"version https://git-lfs.github.com/spec/v1\noid sha256:{new string('0', 64)}\nsize 1675264\n");
        var failure = Assert.Throws<BadInputException>(() =>
            _ = Path.GetExtension(name) switch
            {
                ".safetensors" => (object)Safetensors.Open(path),
                ".pt" => TorchFile.Open(path),
                ".json" => JsonText.ReadAllText(path),
                _ => TokenizerFolder.Read(path),
            }
        );
        Assert.Equal($"{path}: is a Git LFS pointer, not the file itself. Fetch the file with 'git lfs pull'.", failure.Message);
    }

    [Theory]
    [InlineData("", "fewer than 8 bytes")]
    [InlineData("{}", "header says", 3)]
    [InlineData("{}", "header says", -1)]
    [InlineData("{}", "header says", 200_000_000)]
    [InlineData("[]", "expected a JSON object")]
    [InlineData("{", "not valid JSON")]
    [InlineData("""{"a":null}""", "a is null")]
    [InlineData("""{"a":5}""", "wrong type")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "a")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}""", "F8_E4M3")]
    [InlineData("""{"a":{"dtype":"9","shape":[8],"data_offsets":[0,8]}}""", "type 9")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "8 bytes for F32 [3]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}""", "8 bytes for F32")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}""", "8 bytes for F32")]
    [InlineData("""{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[-4,0]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[8,4]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", "4 bytes of 8")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""",
        "b overlaps"
    )]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""",
        "b overlaps"
    )]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""",
        "b leaves a gap"
    )]
    [InlineData("""{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"more":1}}""", "more")]
    [InlineData("""{"__metadata__":{"x":1},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", "metadata x")]
    [InlineData("""{"__metadata__":[],"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", "metadata is no object")]
    public void DamageIsRefusedInOneLine(string header, string expected, int? statedLength = null)
    {
        string path = _folder["damaged.safetensors"];
        byte[] json = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(
            length,
            statedLength is { } stated && stated < 100 && stated > 0 ? 8 + json.Length + stated : statedLength ?? json.Length
        );
        File.WriteAllBytes(path, header == "" ? [1, 2, 3] : [.. length, .. json, .. new byte[8]]);

        string message = Assert.Throws<BadInputException>(() => Safetensors.Open(path).Dispose()).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void AFileThatIsNotThereAndAFolderAreRefused()
    {
        Assert.Throws<BadInputException>(() => Safetensors.Open(_folder["nowhere"]));
        Assert.Throws<BadInputException>(() => Safetensors.Open(_folder.Path));
    }

    /// <summary>float32 values are the file itself: 64 MB are looked at without allocating them.</summary>
    [Fact]
    public void ValuesAreNotCopiedIntoManagedMemory()
    {
        const int Count = 16 << 20;
        string path = _folder["large.safetensors"];
        var values = new float[Count];
        values[^1] = 7;
        Safetensors.Write(path, [TensorToWrite.Of("a", [4, Count / 4], () => values)], new Dictionary<string, string>());

        long before = GC.GetAllocatedBytesForCurrentThread();
        using TensorFile file = Safetensors.Open(path);
        Assert.Equal(7, file.ByName["a"].Floats()[^1]);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void ADisposedFileIsNotReadAnyMore()
    {
        string path = _folder["a.safetensors"];
        Safetensors.Write(path, [TensorToWrite.Of("a", [1], () => new[] { 1f })], new Dictionary<string, string>());
        TensorFile file = Safetensors.Open(path);
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => file.ByName["a"].Floats().Length);
    }

    private static int Size(ElementType type) =>
        type switch
        {
            ElementType.BOOL or ElementType.U8 or ElementType.I8 => 1,
            ElementType.U16 or ElementType.I16 or ElementType.F16 or ElementType.BF16 => 2,
            ElementType.U32 or ElementType.I32 or ElementType.F32 => 4,
            _ => 8,
        };
}
