using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

public class TorchFileTests
{
    private static readonly float[] Base = [.. Enumerable.Range(0, 24).Select(i => (i - 7) / 4f)];

    public static string Folder { get; } = Path.Combine(OfficialFixture.Root, "..", "torch");

    /// <summary>types.pt is PyTorch's own, made by make.py beside it.</summary>
    [Fact]
    public void EveryTypeAndEveryKindOfViewIsRead()
    {
        using TensorFile file = TorchFile.Open(Path.Combine(Folder, "types.pt"));

        Check("f32", ElementType.F32, [2, 3, 4], Base);
        Check("f64", ElementType.F64, [24], Base);
        Check("f16", ElementType.F16, [24], Base);
        Check("bf16", ElementType.BF16, [24], Base);
        Check("scalar", ElementType.F32, [], [2.5f]);
        Check("empty", ElementType.F32, [0, 5], []);
        Check("transposed", ElementType.F32, [6, 4], [.. Indices(6, 4).Select(i => Base[(i.Column * 6) + i.Row])]);
        Check(
            "permuted",
            ElementType.F32,
            [4, 2, 3],
            [.. Enumerable.Range(0, 24).Select(i => Base[(i / 3 % 2 * 12) + (i % 3 * 4) + (i / 6)])]
        );
        Check("every_second_row", ElementType.F32, [3, 4], [.. Base[4..8], .. Base[12..16], .. Base[20..24]]);
        Check("expanded", ElementType.F32, [2, 3], [1, 1, 1, 2, 2, 2]);
        Check("shared", ElementType.F32, [12], [.. Enumerable.Range(0, 12).Select(i => (float)i)]);
        Check("shared.tail", ElementType.F32, [4], [8, 9, 10, 11]);
        Check("shared.column", ElementType.F32, [4], [1, 4, 7, 10]);
        Check("größe", ElementType.F32, [1], [1]);
        CheckBytes<long>("i64", ElementType.I64, i => i * 3_000_000_000);
        CheckBytes<int>("i32", ElementType.I32, i => i - 9);
        CheckBytes<short>("i16", ElementType.I16, i => (short)(i - 9));
        CheckBytes<sbyte>("i8", ElementType.I8, i => (sbyte)(i - 9));
        CheckBytes<byte>("u8", ElementType.U8, i => (byte)(i + 200));
        CheckBytes<bool>("bool", ElementType.BOOL, i => i % 3 == 0);
        Assert.Equal(20, file.Tensors.Count);
        Assert.Equal("f32", file.Tensors[0].Name);

        void Check(string name, ElementType type, int[] shape, float[] values)
        {
            StoredTensor tensor = file.ByName[name];
            Assert.Equal((name, type), (name, tensor.Type));
            Assert.Equal(shape, tensor.Shape);
            Comparison.SameBits(values, tensor.Floats(), name);
        }

        void CheckBytes<T>(string name, ElementType type, Func<int, T> value)
            where T : unmanaged
        {
            StoredTensor tensor = file.ByName[name];
            Assert.Equal((name, type), (name, tensor.Type));
            Assert.Equal(Enumerable.Range(0, 24).Select(value), MemoryMarshal.Cast<byte, T>(tensor.Bytes()).ToArray());
        }
    }

    /// <summary>
    /// Sum, sum of squares and one entry of one matrix as PyTorch gives them: every released kind of model is read under its configuration.
    /// </summary>
    [Theory]
    [InlineData("a_ln_tied_gelu", -26.64435570484784, 368.9898433934435, 0.07267124950885773)]
    [InlineData("c_rms_afrac8_bigram", -46.415970983223815, 1459.590485700804, 0.14940188825130463)]
    [InlineData("d_rms_residrelu_residtopk", 6.846438302076422, 369.29692047252917, 0.1275983601808548)]
    [InlineData("e_rms_sink_afrac8", 10.112728563329256, 371.65273460916467, 0.04576287791132927)]
    [InlineData("f_catpos_learned_ln", 30.669285538278928, 466.8940789099495, 0.025850411504507065)]
    [InlineData("j_legacy_keys_noflash", -9.17043989605736, 185.45706546018266, 0.6423004865646362)]
    public void OfficialModelsAreRead(string folder, double sum, double squares, double entry)
    {
        using StoredModel model = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", folder));
        var spec = Sparsity.Core.Model.ParameterSpec.ListFor(model.Config).Single(spec => spec.Name == "transformer.h.1.mlp.c_fc.weight");
        double[] values = [.. model.Values(spec).ToArray().Select(value => (double)value)];

        Assert.Equal(sum, values.Sum(), 1e-9);
        Assert.Equal(squares, values.Sum(value => value * value), 1e-9);
        Assert.Equal(entry, values[(3 * spec.Columns) + 5]);
    }

    [Fact]
    public void TheSameTensorsComeBack()
    {
        using var folder = new TemporaryFolder();
        string path = folder["model.pt"];
        TorchFile.Write(path, Written);
        using TensorFile file = TorchFile.Open(path);

        Assert.Equal(Written.Select(tensor => tensor.Name), file.Tensors.Select(tensor => tensor.Name));
        foreach (TensorToWrite written in Written)
        {
            StoredTensor read = file.ByName[written.Name];
            Assert.Equal(written.Type, read.Type);
            Assert.Equal(written.Shape, read.Shape);
            Assert.Equal(written.Bytes().ToArray(), read.Bytes());
        }
    }

    [PythonModuleFact("torch")]
    public void PyTorchReadsWhatIsWritten()
    {
        using var folder = new TemporaryFolder();
        string path = folder["some model.pt"];
        TorchFile.Write(path, Written);
        using var checksum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TensorToWrite tensor in Written)
        {
            checksum.AppendData(Encoding.UTF8.GetBytes($"{tensor.Name} [{string.Join(", ", tensor.Shape)}]\n"));
            checksum.AppendData(
                MemoryMarshal.AsBytes<float>(
                    tensor.Type switch
                    {
                        ElementType.F32 => MemoryMarshal.Cast<byte, float>(tensor.Bytes()).ToArray(),
                        ElementType.F16 => [.. MemoryMarshal.Cast<byte, Half>(tensor.Bytes()).ToArray().Select(value => (float)value)],
                        ElementType.I64 => [.. MemoryMarshal.Cast<byte, long>(tensor.Bytes()).ToArray().Select(value => (float)value)],
                        _ => [.. tensor.Bytes().ToArray().Select(value => (float)value)],
                    }
                )
            );
        }

        string original = Path.Combine(OfficialFixture.Root, "forward", "e_rms_sink_afrac8", "final_model.pt");
        using (TensorFile model = TorchFile.Open(original))
        {
            TorchFile.Write(
                folder["copy.pt"],
                [.. model.Tensors.Select(tensor => new TensorToWrite(tensor.Name, tensor.Shape, tensor.Type, () => tensor.Bytes()))]
            );
        }

        string[] printed = PythonModuleFactAttribute
            .Run("torch", Path.Combine(Folder, "check.py"), path, original, folder["copy.pt"])
            .Split('\n');
        Assert.Equal(Convert.ToHexStringLower(checksum.GetHashAndReset()), printed[0]);
        Assert.Equal(64, printed[1].Length);
        Assert.Equal(printed[1], printed[2]);
    }

    /// <summary>A few tensors, one of each group of types.</summary>
    private static IReadOnlyList<TensorToWrite> Written { get; } =
    [
        TensorToWrite.Of("a.weight", [4, 6], () => Base),
        TensorToWrite.Of("größe", [], () => new[] { -0.0f }),
        TensorToWrite.Of("empty", [3, 0], () => Array.Empty<float>()),
        TensorToWrite.Of("c.weight", [2, 1, 2], () => new[] { 1, float.Epsilon, float.MaxValue, -1e-30f }),
        new("half", [3], ElementType.F16, () => MemoryMarshal.AsBytes<Half>(new[] { (Half)1.5f, (Half)(-3), Half.Epsilon })),
        new("long", [2], ElementType.I64, () => MemoryMarshal.AsBytes<long>(new[] { 1L << 40, -5 })),
        new("bool", [5], ElementType.BOOL, () => new byte[] { 0, 1, 1, 0, 1 }),
        new("byte", [2], ElementType.U8, () => new byte[] { 0, 255 }),
    ];

    private static IEnumerable<(int Row, int Column)> Indices(int rows, int columns) =>
        Enumerable.Range(0, rows * columns).Select(i => (i / columns, i % columns));
}
