using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

/// <summary>Files that are no state dict of PyTorch's, or not any more.</summary>
public sealed class TorchDamageTests : IDisposable
{
    private const string Storage = "(X\u0007\0\0\0storagectorch\nFloatStorage\nX\u0001\0\0\00X\u0003\0\0\0cpuK\u0004tQ";
    private const string NoHooks = "\u0089ccollections\nOrderedDict\n)R";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Pickles, with one character for each byte. The first few would run a program if they were believed.</summary>
    [Theory]
    [InlineData("cos\nsystem\n(X\u0002\0\0\0lstR.", "os.system")]
    [InlineData("cbuiltins\neval\n(X\u0001\0\0\01tR.", "builtins.eval")]
    [InlineData("ctorch\nload\n)R.", "torch.load")]
    [InlineData("ctorch._utils\n_rebuild_sparse_tensor\n)R.", "torch._utils._rebuild_sparse_tensor")]
    [InlineData("ctorch\nFloatStorage\n)R.", "not described as torch.save")]
    [InlineData("(ios\nsystem\n.", "INST")]
    [InlineData("\u008c\u0002os\u008c\u0006system\u0093.", "SHORT_BINUNICODE")]
    [InlineData("ccollections\nOrderedDict\n)\u0081.", "NEWOBJ")]
    [InlineData("\u0082\u0001.", "EXT1")]
    [InlineData("].", "no state dict")]
    [InlineData("}X\u0001\0\0\0a]s.", "a is no tensor")]
    [InlineData("G\0\0\0\0\0\0\0\0.", "no state dict")]
    [InlineData("\u00ff.", "0xff")]
    [InlineData("\u0080\u0004}.", "protocol 4")]
    [InlineData("}X\u0001\0\0\0aK\u0001s.", "a is no tensor")]
    [InlineData("}K\u0001K\u0001s.", "key that is no text")]
    [InlineData("K\u0001.", "no state dict")]
    [InlineData("N.", "no state dict")]
    [InlineData(".", "stack")]
    [InlineData("", "ends in the middle")]
    [InlineData("}", "ends in the middle")]
    [InlineData("}K\u0001.", "left over")]
    [InlineData("(}.", "left over")]
    [InlineData("}(K\u0001u.", "key has no value")]
    [InlineData("N(u.", "no dictionary")]
    [InlineData("t.", "stack")]
    [InlineData("}h\u0005.", "not there before")]
    [InlineData("X\u00ff\u00ff\u00ff\u00ffa.", "ends in the middle")]
    [InlineData("\u008a\u0009\0\0\0\0\0\0\0\0\0.", "64 bits")]
    [InlineData("K\u0001Q.", "storage is not described")]
    [InlineData(
        "}" + "X\u0001\0\0\0a" + "ctorch._utils\n_rebuild_tensor_v2\n(" + Storage + "K\u0001K\u0004\u0085K\u0001\u0085" + NoHooks + "tRs.",
        "does not fit"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0K\u0002K\u0002\u0086K\u0003K\u0001\u0086"
            + NoHooks
            + "tRs.",
        "does not fit"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0K\u0004\u0085J\u00ff\u00ff\u00ff\u00ff\u0085"
            + NoHooks
            + "tRs.",
        "does not fit"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0J\u00ff\u00ff\u00ff\u007f\u0085K\0\u0085"
            + NoHooks
            + "tRs.",
        "does not fit"
    )]
    [InlineData(
        "}" + "X\u0001\0\0\0a" + "ctorch._utils\n_rebuild_tensor_v2\n(" + Storage + "K\0N\u0085K\u0001\u0085" + NoHooks + "tRs.",
        "whole numbers"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0K\u0004\u0085K\u0001\u0085"
            + NoHooks
            + "}X\u0003\0\0\0neg\u0088stRs.",
        "a has the attribute neg"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0K\u0004\u0085K\u0001\u0085"
            + NoHooks
            + "}X\u0004\0\0\0conj\u0088stRs.",
        "a has the attribute conj"
    )]
    [InlineData(
        "}"
            + "X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\0K\u0004\u0085K\u0001\u0085"
            + NoHooks
            + "K\u0001tRs.",
        "not described as torch.save"
    )]
    public void PicklesThatAreNoStateDict(string pickle, string expected) =>
        Refused(expected, Zip(("m/data.pkl", Encoding.Latin1.GetBytes(pickle)), ("m/data/0", new byte[16])));

    [Fact]
    public void APickleInTheSameWordsIsRead()
    {
        const string NotNegated = "}X\u0003\0\0\0neg\u0089s";
        string pickle =
            "\u0080\u0002}X\u0001\0\0\0a"
            + "ctorch._utils\n_rebuild_tensor_v2\n("
            + Storage
            + "K\u0001K\u0003\u0085K\u0001\u0085"
            + NoHooks
            + NotNegated
            + "tRs.";
        byte[] numbers = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40];
        foreach (string root in new[] { "", "a/", "some/where else/" })
        {
            string path = _folder["good.pt"];
            File.WriteAllBytes(
                path,
                Zip(
                    (root + "data.pkl", Encoding.Latin1.GetBytes(pickle)),
                    (root + "data/0", numbers),
                    (root + "byteorder", "little"u8.ToArray())
                )
            );
            using TensorFile file = TorchFile.Open(path);
            Assert.Equal([2f, 3f, 4f], file.ByName["a"].Floats().ToArray());

            File.WriteAllBytes(path, Zip64((root + "data.pkl", Encoding.Latin1.GetBytes(pickle)), (root + "data/0", numbers)));
            using TensorFile large = TorchFile.Open(path);
            Assert.Equal([2f, 3f, 4f], large.ByName["a"].Floats().ToArray());
        }
    }

    [Fact]
    public void ArchivesThatAreNotAsTorchSaveWritesThem()
    {
        byte[] good = File.ReadAllBytes(Path.Combine(TorchFileTests.Folder, "types.pt"));
        (string, byte[]) pickle = (
            "m/data.pkl",
            Encoding.Latin1.GetBytes(
                "}X\u0001\0\0\0a" + "ctorch._utils\n_rebuild_tensor_v2\n(" + Storage + "K\0K\u0004\u0085K\u0001\u0085" + NoHooks + "tRs."
            )
        );

        Refused("has no end", []);
        Refused("has no end", [1, 2, 3]);
        Refused("has no end", good[..^1]);
        Refused("has no end", good[..(good.Length / 2)]);
        Refused("before 1.6", [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]);
        Refused("0 entries called data.pkl", Zip(("m/other", [1])));
        Refused("2 entries called data.pkl", Zip(pickle, ("n/data.pkl", [1])));
        Refused("m/data.pkl is in it twice", Zip(pickle, pickle));
        Refused("lacks the numbers of a (m/data/0)", Zip(pickle));
        Refused("should have 4 numbers of type F32, but there are 12 bytes", Zip(pickle, ("m/data/0", new byte[12])));
        Refused("byte order", Zip(pickle, ("m/data/0", new byte[16]), ("m/byteorder", "big"u8.ToArray())));
        Refused("compressed", Zip(CompressionLevel.Optimal, ("m/data.pkl", new byte[1000])));
    }

    private static byte[] Zip(params (string Name, byte[] Content)[] entries) => Zip(CompressionLevel.NoCompression, entries);

    private static byte[] Zip(CompressionLevel level, params (string Name, byte[] Content)[] entries)
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in entries)
            {
                using Stream entry = archive.CreateEntry(name, level).Open();
                entry.Write(content);
            }
        }

        return stream.ToArray();
    }

    /// <summary>An archive with every size and place in its 64-bit form, as one beyond 4 GB has them.</summary>
    private static byte[] Zip64(params (string Name, byte[] Content)[] entries)
    {
        var file = new MemoryStream();
        var directory = new MemoryStream();
        foreach ((string name, byte[] content) in entries)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(name);
            long local = file.Length;
            byte[] sizes = [.. Number(content.Length, 8), .. Number(content.Length, 8)];
            file.Write([
                .. "PK\u0003\u0004"u8,
                .. Number(45, 2),
                .. new byte[12],
                .. Number(-1, 8),
                .. Number(utf8.Length, 2),
                .. Number(20, 2),
                .. utf8,
                .. Number(1, 2),
                .. Number(16, 2),
                .. sizes,
                .. content,
            ]);
            directory.Write([
                .. "PK\u0001\u0002"u8,
                .. Number(45, 2),
                .. Number(45, 2),
                .. new byte[12],
                .. Number(-1, 8),
                .. Number(utf8.Length, 2),
                .. Number(33, 2),
                .. new byte[10],
                .. Number(-1, 4),
                .. utf8,
                .. Number(0xfb, 2),
                .. Number(1, 2),
                7,
                .. Number(1, 2),
                .. Number(24, 2),
                .. sizes,
                .. Number(local, 8),
            ]);
        }

        long start = file.Length;
        directory.WriteTo(file);
        long end = file.Length;
        file.Write([
            .. "PK\u0006\u0006"u8,
            .. Number(44, 8),
            .. new byte[12],
            .. Number(entries.Length, 8),
            .. Number(entries.Length, 8),
            .. Number(directory.Length, 8),
            .. Number(start, 8),
        ]);
        file.Write([.. "PK\u0006\u0007"u8, .. Number(0, 4), .. Number(end, 8), .. Number(1, 4)]);
        file.Write([.. "PK\u0005\u0006"u8, .. Number(0, 4), .. Number(-1, 8), .. Number(-1, 4), .. Number(0, 2)]);
        return file.ToArray();

        static byte[] Number(long value, int bytes)
        {
            var all = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(all, value);
            return all[..bytes];
        }
    }

    private void Refused(string expected, byte[] content)
    {
        string path = _folder["damaged.pt"];
        File.WriteAllBytes(path, content);
        string message = Assert.Throws<BadInputException>(() => TorchFile.Open(path).Dispose()).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }
}
