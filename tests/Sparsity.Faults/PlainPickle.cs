using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Sparsity.Core.Tensors;

namespace Sparsity.Faults;

/// <summary>
/// Files of torch.save taken apart and put together again: what the restricted reader gives, written as torch.save writes it, without a
/// memo.
/// </summary>
/// <param name="Root">As <see cref="RestrictedPickle"/> gives it.</param>
/// <param name="Storages">Bytes by key.</param>
internal sealed record PlainPickle(object? Root, Dictionary<string, byte[]> Storages)
{
    private const string Name = "archive/data.pkl";
    private const string Data = "archive/data/";

    public static PlainPickle Read(string path)
    {
        var storages = new Dictionary<string, byte[]>();
        byte[] pickle = [];
        using ZipArchive archive = ZipFile.OpenRead(path);
        foreach (ZipArchiveEntry entry in archive.Entries)
        {
            using var content = new MemoryStream();
            using Stream stream = entry.Open();
            stream.CopyTo(content);
            string name = entry.FullName[(entry.FullName.IndexOf('/', StringComparison.Ordinal) + 1)..];
            if (name == "data.pkl")
            {
                pickle = content.ToArray();
            }
            else if (name.StartsWith("data/", StringComparison.Ordinal))
            {
                storages[name["data/".Length..]] = content.ToArray();
            }
        }

        return new PlainPickle(RestrictedPickle.Read(pickle, path, "a test's file"), storages);
    }

    /// <summary>The pickle alone.</summary>
    public byte[] Pickle()
    {
        var bytes = new List<byte> { (byte)PickleOpcode.PROTO, 2 };
        Add(bytes, Root);
        bytes.Add((byte)PickleOpcode.STOP);
        return [.. bytes];
    }

    /// <summary>The whole archive.</summary>
    /// <param name="pickle">In place of its own.</param>
    public byte[] Archive(byte[]? pickle = null)
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            Write(Name, pickle ?? Pickle());
            foreach ((string key, byte[] content) in Storages)
            {
                Write(Data + key, content);
            }

            void Write(string name, byte[] content)
            {
                using Stream entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
                entry.Write(content);
            }
        }

        return stream.ToArray();
    }

    private static void Add(List<byte> bytes, object? value)
    {
        switch (value)
        {
            case null:
                Op(PickleOpcode.NONE);
                break;
            case bool flag:
                Op(flag ? PickleOpcode.NEWTRUE : PickleOpcode.NEWFALSE);
                break;
            case long number:
                Op(PickleOpcode.LONG1);
                bytes.Add(8);
                bytes.AddRange(BitConverter.GetBytes(number));
                break;
            case double number:
                Op(PickleOpcode.BINFLOAT);
                var bigEndian = new byte[8];
                BinaryPrimitives.WriteDoubleBigEndian(bigEndian, number);
                bytes.AddRange(bigEndian);
                break;
            case string text:
                Op(PickleOpcode.BINUNICODE);
                bytes.AddRange(BitConverter.GetBytes(Encoding.UTF8.GetByteCount(text)));
                bytes.AddRange(Encoding.UTF8.GetBytes(text));
                break;
            case List<object?> list:
                Op(PickleOpcode.EMPTY_LIST);
                Sequence(list, PickleOpcode.APPENDS);
                break;
            case object?[] tuple:
                Sequence(tuple, PickleOpcode.TUPLE);
                break;
            case PickledDictionary dictionary:
                Op(PickleOpcode.EMPTY_DICT);
                Sequence(dictionary.Items.SelectMany(item => new[] { item.Key, item.Value }), PickleOpcode.SETITEMS);
                break;
            case PickledTensor tensor:
                Global("torch._utils", "_rebuild_tensor_v2");
                Op(PickleOpcode.MARK);
                Op(PickleOpcode.MARK);
                Add(bytes, "storage");
                Global("torch", tensor.Storage.Type.StorageClass());
                Add(bytes, tensor.Storage.Key);
                Add(bytes, "cpu");
                Add(bytes, tensor.Storage.Length);
                Op(PickleOpcode.TUPLE);
                Op(PickleOpcode.BINPERSID);
                Add(bytes, tensor.Offset);
                Add(bytes, tensor.Shape.Select(size => (object?)size).ToArray());
                Add(bytes, tensor.Strides.Select(stride => (object?)stride).ToArray());
                Add(bytes, false);
                Global("collections", "OrderedDict");
                Op(PickleOpcode.EMPTY_TUPLE);
                Op(PickleOpcode.REDUCE);
                Op(PickleOpcode.TUPLE);
                Op(PickleOpcode.REDUCE);
                break;
            default:
                throw new ArgumentException($"{value.GetType()} is nothing that a plain pickle holds.");
        }

        void Op(PickleOpcode opcode) => bytes.Add((byte)opcode);

        void Global(string module, string name)
        {
            Op(PickleOpcode.GLOBAL);
            bytes.AddRange(Encoding.UTF8.GetBytes($"{module}\n{name}\n"));
        }

        void Sequence(IEnumerable<object?> items, PickleOpcode end)
        {
            Op(PickleOpcode.MARK);
            foreach (object? item in items)
            {
                Add(bytes, item);
            }

            Op(end);
        }
    }
}
