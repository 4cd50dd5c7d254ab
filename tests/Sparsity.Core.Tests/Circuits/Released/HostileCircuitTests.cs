using System.IO.Compression;
using System.Text;
using Sparsity.Core.Model;
using Sparsity.Core.Released;
using Sparsity.Core.Tensors;
using Sparsity.Faults;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Circuits.Released;

/// <summary>Files that are damaged, or made to harm: each ends in one line. Without limits some would take years, or all memory.</summary>
public sealed class HostileCircuitTests : IDisposable
{
    private const string File24 = "viz/csp_tiny/single_double_quote/prune_v2/24/viz_data.pt";
    private readonly TemporaryFolder _folder = new();
    private readonly ReleasedFixture _fixture = new(ReleasedFixture.Own);

    private ModelConfig Config => _fixture.Model.Config;

    public void Dispose()
    {
        _fixture.Dispose();
        _folder.Dispose();
    }

    /// <summary>Pickles, with one character for each byte.</summary>
    [Theory]
    [InlineData("cos\nsystem\n(X\u0002\0\0\0lstR.", "os.system")]
    [InlineData("cbuiltins\neval\n(X\u0001\0\0\01tR.", "builtins.eval")]
    [InlineData("ccollections\nCounter\n)R.", "collections.Counter")]
    [InlineData("ctorch\nSize\n)R.", "torch.Size")]
    [InlineData("cnumpy.core.multiarray\n_reconstruct\n.", "numpy.core.multiarray._reconstruct")]
    [InlineData("\u008f.", "EMPTY_SET")]
    [InlineData("}K\u0001K\u0002sK\u0001a.", "appended to what is no list")]
    [InlineData(")K\u0001a.", "appended to what is no list")]
    [InlineData("(K\u0001e.", "its stack is wrong")]
    [InlineData("](K\u0001a.", "its stack is wrong")]
    [InlineData("G\0\0.", "ends in the middle")]
    [InlineData("}K\u0001K\u0002sK\u0001K\u0002s.", "the key 1 is there twice")]
    [InlineData("}(K\u0001K\u0002G\u003f\u00f0\0\0\0\0\0\0K\u0002u.", "the key 1 is there twice")]
    [InlineData("}(\u0088K\u0002K\u0001K\u0002u.", "the key 1 is there twice")]
    [InlineData("}]K\u0001s.", "a key is neither text nor a number")]
    [InlineData("}}b.", "no OrderedDict")]
    [InlineData("]}b.", "no dictionary")]
    [InlineData("K\u0001.", "is no dictionary")]
    [InlineData("].", "is no dictionary")]
    [InlineData("}.", "has no entry circuit_data")]
    [InlineData("", "ends in the middle")]
    public void PicklesThatAreNoCircuit(string pickle, string expected) => Refused(expected, Encoding.Latin1.GetBytes(pickle));

    /// <summary>l = []; l.append(l), as a channel list, as losses and as everything.</summary>
    [Fact]
    public void AListThatContainsItselfEnds()
    {
        const string Itself = "]q\u0001h\u0001a";
        Refused("circuit_data[0.attn.v][0] is no number", Circuit("0.attn.v", Itself, ""));
        Refused("importances.pair_data[0][0] is not a matrix", Circuit("0.attn.v", "]", Itself));
        Refused("is no dictionary", Encoding.Latin1.GetBytes(Itself + "."));

        var loop = new PickledDictionary(isOrdered: false);
        loop.TryAdd("again", loop);
        BadInputException deep = Assert.Throws<BadInputException>(() =>
            Deepest(new PickledValue(null!, new PickleBudget("x", 1000), loop))
        );
        Assert.Contains("nested more than 12 levels deep", deep.Message, StringComparison.Ordinal);

        static PickledValue Deepest(PickledValue value) => Deepest(value.Field("again"));
    }

    /// <summary>Each list holds the one before a thousand times: a few kilobytes stand for more elements than there are atoms.</summary>
    [Fact]
    public void ListsOfTheSameListOverAndOverEnd()
    {
        var pickle = new StringBuilder("(]q\0");
        for (int level = 1; level <= 30; level++)
        {
            pickle.Append("](").Insert(pickle.Length, $"h{(char)(level - 1)}", 1000).Append("eq").Append((char)level);
        }

        pickle.Append("t.");
        byte[] bytes = Encoding.Latin1.GetBytes(pickle.ToString());
        object? root = RestrictedPickle.Read(bytes, "x", "a circuit");
        BadInputException e = Assert.Throws<BadInputException>(() =>
            Count(new PickledValue(null!, new PickleBudget("x", 4L * bytes.Length), root))
        );
        Assert.Contains("repeat one another", e.Message, StringComparison.Ordinal);

        static long Count(PickledValue value) => value.IsSequence ? value.Items().Sum(Count) : 1;
    }

    /// <summary>
    /// A memo and a stack of as many entries as there are bytes, names of memo entries far apart, and brackets within brackets.
    /// </summary>
    [Fact]
    public void HugeMemosAndDeepNestingEnd()
    {
        byte[] memo =
        [
            (byte)'N',
            .. Enumerable
                .Range(0, 50_000)
                .SelectMany(i => new[] { (byte)'r' }.Concat(BitConverter.GetBytes(unchecked((uint)i * 2654435761)))),
            (byte)'.',
        ];
        Refused("is no dictionary", memo);
        Refused("left over", [.. Enumerable.Repeat((byte)']', 100_000), (byte)'.']);
        Refused("is no dictionary", [.. Enumerable.Repeat((byte)']', 100_000), .. Enumerable.Repeat((byte)'a', 99_999), (byte)'.']);
        Refused("is no dictionary", [(byte)'N', .. Enumerable.Repeat((byte)0x85, 100_000), (byte)'.']);
        Refused("its stack is wrong", [(byte)'N', .. Enumerable.Repeat((byte)'(', 100_000), (byte)'.']);

        // A shape of 100,000 numbers, named by a thousand tensors.
        const string Storage = "(X\u0007\0\0\0storagectorch\nFloatStorage\nX\u0001\0\0\00X\u0003\0\0\0cpuK\u0004tQ";
        string shape = "(" + string.Concat(Enumerable.Repeat("K\u0001", 100_000)) + "tq\u0001";
        string tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + Storage + "K\0h\u0001h\u0001\u0089ccollections\nOrderedDict\n)RtR";
        Refused(
            "a tensor has 100000 dimensions",
            Encoding.Latin1.GetBytes("](" + shape + string.Concat(Enumerable.Repeat(tensor, 1000)) + "e.")
        );
    }

    [Fact]
    public void ATruncatedFileIsRefusedWhereverItEnds()
    {
        PlainPickle whole = PlainPickle.Read(Path.Combine(_fixture.Folder, File24));
        byte[] pickle = whole.Pickle();
        for (int length = 0; length < pickle.Length; length += 1 + (pickle.Length / 40))
        {
            Refused("its pickle is damaged", pickle[..length]);
        }

        byte[] file = whole.Archive();
        File.WriteAllBytes(_folder["viz_data.pt"], file[..(file.Length / 2)]);
        Assert.Throws<BadInputException>(() => ReleasedCircuitReader.Read(_folder["viz_data.pt"], Config));
    }

    /// <summary>What numbers may not be.</summary>
    [Fact]
    public void NumbersThatCannotBeAreRefusedByName()
    {
        Changed("importances.loss is NaN", root => Importances(root).Replace("loss", double.NaN));
        Changed("importances.interv_loss is Infinity", root => Importances(root).Replace("interv_loss", double.PositiveInfinity));
        Changed("importances.interv_loss is no number", root => Importances(root).Replace("interv_loss", "0.2"));
        Changed(
            "circuit_data[0.attn.v] has channel 32, but 0.attn.v has 0 to 31",
            root => Data(root).Replace("0.attn.v", new List<object?> { 8L, 32L })
        );
        Changed("circuit_data[0.attn.v] has channel -1", root => Data(root).Replace("0.attn.v", new List<object?> { -1L }));
        Changed("circuit_data[0.attn.v] has channel 8 twice", root => Data(root).Replace("0.attn.v", new List<object?> { 8L, 8L }));
        Changed(
            "circuit_data[0.attn.v] has 0.5, which is no whole number",
            root => Data(root).Replace("0.attn.v", new List<object?> { 0.5 })
        );
        Changed("is 2.attn.v, which is no node location", root => Data(root).TryAdd("2.attn.v", new List<object?> { 1L }));
        Changed("has 1 losses, but circuit_data 3 channels", root => Node(root, "0.attn.v", new List<object?> { 0.1 }));
        Changed("has NaN, but must have finite numbers", root => Node(root, "0.attn.v", new List<object?> { 0.1, double.NaN, 0.3 }));
        Changed("n_layer is 3, but the model's is 2: the circuit belongs to another model", root => Model(root).Replace("n_layer", 3L));
        Changed("vocab_size is 2048, but the model's is 64", root => Model(root).Replace("vocab_size", 2048L));
        Changed(
            "is not a matrix, its source and target channels, and its two locations",
            root => ((List<object?>)Importances(root).Field("pair_data")!)[0] = new List<object?> { 1L, 2L, 3L }
        );
        Changed("task_samples", root => Importances(root).Replace("task_samples", new List<object?>()));
    }

    private static PickledDictionary Importances(PickledDictionary root) => (PickledDictionary)root.Field("importances")!;

    private static PickledDictionary Data(PickledDictionary root) => (PickledDictionary)root.Field("circuit_data")!;

    private static PickledDictionary Model(PickledDictionary root) => (PickledDictionary)Importances(root).Field("beeg_model_config")!;

    private static void Node(PickledDictionary root, string site, List<object?> losses) =>
        ((PickledDictionary)Importances(root).Field("ch_interv_losses")!).Replace(site, losses);

    private void Changed(string expected, Action<PickledDictionary> change)
    {
        PlainPickle pickle = PlainPickle.Read(Path.Combine(_fixture.Folder, File24));
        change((PickledDictionary)pickle.Root!);
        File.WriteAllBytes(_folder["viz_data.pt"], pickle.Archive());
        string message = Assert.Throws<BadInputException>(() => ReleasedCircuitReader.Read(_folder["viz_data.pt"], Config)).Message;
        Assert.StartsWith(_folder["viz_data.pt"], message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    /// <summary>A file with one location's channels and one list of edges, as text of pickles.</summary>
    private static byte[] Circuit(string site, string channels, string pairs)
    {
        string text =
            "}("
            + Text("circuit_data")
            + "}"
            + Text(site)
            + channels
            + "s"
            + Text("importances")
            + "}("
            + Text("beeg_model_config")
            + "}"
            + Text("loss")
            + "K\u0001"
            + Text("interv_loss")
            + "K\u0001"
            + (pairs.Length == 0 ? "" : Text("pair_data") + pairs)
            + "uu.";
        return Encoding.Latin1.GetBytes(text);

        static string Text(string text) => $"X{(char)text.Length}\0\0\0{text}";
    }

    private void Refused(string expected, byte[] pickle)
    {
        string path = _folder["hostile.pt"];
        using (var stream = new FileStream(path, FileMode.Create))
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create))
        using (Stream entry = archive.CreateEntry("archive/data.pkl", CompressionLevel.NoCompression).Open())
        {
            entry.Write(pickle);
        }

        string message = Assert.Throws<BadInputException>(() => ReleasedCircuitReader.Read(path, Config)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }
}
