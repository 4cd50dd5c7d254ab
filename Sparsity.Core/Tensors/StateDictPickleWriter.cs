using System.Buffers.Binary;
using System.Text;

namespace Sparsity.Core.Tensors;

/// <summary>
/// Writes the pickle that <see cref="TorchFile"/> reads: an OrderedDict of tensors, each the whole of a storage of its own whose key is its
/// index.
/// </summary>
internal sealed class StateDictPickleWriter
{
    private readonly MemoryStream _pickle = new();

    private StateDictPickleWriter() { }

    public static byte[] Write(IReadOnlyList<TensorToWrite> tensors)
    {
        var writer = new StateDictPickleWriter();
        writer.Add(PickleOpcode.PROTO, [2]);
        writer.AddOrderedDictionary();
        writer.Add(PickleOpcode.MARK);
        for (int i = 0; i < tensors.Count; i++)
        {
            writer.AddText(tensors[i].Name);
            writer.AddTensor(tensors[i], $"{i}");
        }

        writer.Add(PickleOpcode.SETITEMS);
        writer.Add(PickleOpcode.STOP);
        return writer._pickle.ToArray();
    }

    private void AddTensor(TensorToWrite tensor, string key)
    {
        AddGlobal("torch._utils", "_rebuild_tensor_v2");
        Add(PickleOpcode.MARK);
        AddStorage(tensor, key);
        AddInteger(0);
        var strides = new long[tensor.Shape.Count];
        long stride = 1;
        for (int i = strides.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= Math.Max(1, tensor.Shape[i]);
        }

        AddTuple(tensor.Shape.Select(size => (long)size));
        AddTuple(strides);
        Add(PickleOpcode.NEWFALSE); // requires_grad
        AddOrderedDictionary(); // hooks
        Add(PickleOpcode.TUPLE);
        Add(PickleOpcode.REDUCE);
    }

    private void AddStorage(TensorToWrite tensor, string key)
    {
        Add(PickleOpcode.MARK);
        AddText("storage");
        AddGlobal("torch", tensor.Type.StorageClass());
        AddText(key);
        AddText("cpu");
        AddInteger(tensor.Length);
        Add(PickleOpcode.TUPLE);
        Add(PickleOpcode.BINPERSID);
    }

    private void AddOrderedDictionary()
    {
        AddGlobal("collections", "OrderedDict");
        Add(PickleOpcode.EMPTY_TUPLE);
        Add(PickleOpcode.REDUCE);
    }

    private void AddTuple(IEnumerable<long> numbers)
    {
        Add(PickleOpcode.MARK);
        foreach (long number in numbers)
        {
            AddInteger(number);
        }

        Add(PickleOpcode.TUPLE);
    }

    private void AddInteger(long value)
    {
        Span<byte> bytes = stackalloc byte[9];
        if (value is >= int.MinValue and <= int.MaxValue)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)value);
            Add(PickleOpcode.BININT, bytes[..4]);
        }
        else
        {
            bytes[0] = 8;
            BinaryPrimitives.WriteInt64LittleEndian(bytes[1..], value);
            Add(PickleOpcode.LONG1, bytes);
        }
    }

    private void AddText(string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
        Add(PickleOpcode.BINUNICODE, length);
        _pickle.Write(utf8);
    }

    private void AddGlobal(string module, string name) => Add(PickleOpcode.GLOBAL, Encoding.ASCII.GetBytes($"{module}\n{name}\n"));

    private void Add(PickleOpcode opcode, ReadOnlySpan<byte> argument = default)
    {
        _pickle.WriteByte((byte)opcode);
        _pickle.Write(argument);
    }
}
