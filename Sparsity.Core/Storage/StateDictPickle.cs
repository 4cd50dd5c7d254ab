using System.Buffers.Binary;
using System.Text;

namespace Sparsity.Core.Storage;

/// <summary>A tensor as a state dict's pickle describes it: a strided view of a storage. Offset, shape and strides count numbers, not bytes.</summary>
/// <param name="Attribute">What else is to be done to its numbers: PyTorch's lazy "neg" or "conj"; null for nothing.</param>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Strides, string? Attribute = null);

/// <summary>Numbers of one type that lie in the archive's entry <c>data/KEY</c>.</summary>
internal sealed record PickledStorage(ElementType Type, string Key, long Length);

/// <summary>
/// Reads the pickle of a PyTorch state dict, and nothing else: dictionaries of text to tensors, built of numbers, text and tuples. Names of Python functions
/// are compared with a short list and never looked up, so that a file cannot run code; every other opcode or name is refused.
/// </summary>
internal ref struct StateDictPickle
{
    private const int Protocol = 2;
    private static readonly object[] EmptyTuple = [];
    private readonly string _source;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<uint, object?> _memo = [];
    private ReadOnlySpan<byte> _rest;

    private StateDictPickle(ReadOnlySpan<byte> pickle, string source)
    {
        _rest = pickle;
        _source = source;
    }

    /// <summary>The tensors in the order of the dictionary.</summary>
    /// <param name="source">For messages.</param>
    /// <exception cref="BadInputException">The pickle is damaged or holds anything but a dictionary of tensors.</exception>
    public static IReadOnlyList<(string Name, PickledTensor Tensor)> Read(ReadOnlySpan<byte> pickle, string source)
    {
        if (new StateDictPickle(pickle, source).Run() is not Dictionary dictionary)
        {
            throw new BadInputException($"{source}: holds no state dict. Save the model with torch.save(model.state_dict(), ...).");
        }

        var tensors = new List<(string Name, PickledTensor Tensor)>();
        foreach ((object? key, object? value) in dictionary.Items)
        {
            string name = key as string ?? throw new BadInputException($"{source}: has a key that is no text. Save only the model's state dict.");
            PickledTensor tensor = value as PickledTensor ?? throw new BadInputException($"{source}: {name} is no tensor. Save only the model's state dict.");
            tensors.Add((name, tensor.Attribute is null ? tensor : throw new BadInputException(
                $"{source}: {name} has the attribute {tensor.Attribute}, a change of its numbers that is still to be made. "
                + "Save it with .resolve_neg().resolve_conj().")));
        }

        return tensors;
    }

    private object? Run()
    {
        while (true)
        {
            var opcode = (PickleOpcode)Take(1)[0];
            switch (opcode)
            {
                case PickleOpcode.PROTO:
                    byte protocol = Take(1)[0];
                    if (protocol != Protocol)
                    {
                        throw Refused($"is of pickle protocol {protocol}, expected torch.save's {Protocol}");
                    }

                    break;
                case PickleOpcode.STOP:
                    object? result = Pop();
                    return _stack.Count == 0 && _marks.Count == 0 ? result : throw Damaged("something is left over at its end");
                case PickleOpcode.MARK:
                    _marks.Push(_stack.Count);
                    break;
                case PickleOpcode.NONE:
                    _stack.Add(null);
                    break;
                case PickleOpcode.NEWTRUE:
                    _stack.Add(true);
                    break;
                case PickleOpcode.NEWFALSE:
                    _stack.Add(false);
                    break;
                case PickleOpcode.BININT:
                    _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                    break;
                case PickleOpcode.BININT1:
                    _stack.Add((long)Take(1)[0]);
                    break;
                case PickleOpcode.BININT2:
                    _stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                    break;
                case PickleOpcode.LONG1:
                    _stack.Add(TakeLong(Take(1)[0]));
                    break;
                case PickleOpcode.BINUNICODE:
                    _stack.Add(TakeText(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))));
                    break;
                case PickleOpcode.EMPTY_TUPLE:
                    _stack.Add(EmptyTuple);
                    break;
                case PickleOpcode.TUPLE1:
                    _stack.Add(PopLast(1));
                    break;
                case PickleOpcode.TUPLE2:
                    _stack.Add(PopLast(2));
                    break;
                case PickleOpcode.TUPLE3:
                    _stack.Add(PopLast(3));
                    break;
                case PickleOpcode.TUPLE:
                    _stack.Add(PopToMark());
                    break;
                case PickleOpcode.EMPTY_DICT:
                    _stack.Add(new Dictionary());
                    break;
                case PickleOpcode.SETITEM:
                    object?[] pair = PopLast(2);
                    TopDictionary().Items.Add((pair[0], pair[1]));
                    break;
                case PickleOpcode.SETITEMS:
                    SetItems(PopToMark());
                    break;
                case PickleOpcode.BINPUT:
                    _memo[Take(1)[0]] = Top();
                    break;
                case PickleOpcode.LONG_BINPUT:
                    _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Top();
                    break;
                case PickleOpcode.BINGET:
                    _stack.Add(Remembered(Take(1)[0]));
                    break;
                case PickleOpcode.LONG_BINGET:
                    _stack.Add(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))));
                    break;
                case PickleOpcode.GLOBAL:
                    _stack.Add(Known($"{TakeLine()}.{TakeLine()}"));
                    break;
                case PickleOpcode.BINPERSID:
                    _stack.Add(Storage(Pop()));
                    break;
                case PickleOpcode.REDUCE:
                    object? arguments = Pop();
                    _stack.Add(Built(Pop() as Global, arguments as object?[]));
                    break;
                case PickleOpcode.BUILD:
                    // The version numbers of the modules, which a state dict carries as an attribute.
                    _ = Pop();
                    _ = TopDictionary();
                    break;
                default:
                    throw Refused($"has the opcode {(Enum.IsDefined(opcode) ? opcode : $"0x{(byte)opcode:x2}")}, which no state dict needs");
            }
        }
    }

    private Global Known(string name) => name switch
    {
        "collections.OrderedDict" => new Global(Callable.OrderedDictionary),
        "torch._utils._rebuild_tensor_v2" => new Global(Callable.RebuildTensor),
        _ when name.StartsWith("torch.", StringComparison.Ordinal) && ElementTypes.TryOfStorageClass(name["torch.".Length..], out ElementType type) => new Global(Callable.StorageClass, type),
        _ => throw Refused($"asks for {(name.Length <= 100 ? name : name[..100] + "...")}, which no state dict of numbers needs"),
    };

    /// <summary>From the tuple ('storage', class, key, device, length).</summary>
    private PickledStorage Storage(object? id) =>
        id is object?[] and ["storage", Global { Callable: Callable.StorageClass } type, string key, string, long length] && length >= 0
            ? new PickledStorage(type.Type, key, length)
            : throw Damaged("a storage is not described as torch.save does it");

    private object Built(Global? callable, object?[]? arguments) => (callable?.Callable, arguments) switch
    {
        (Callable.OrderedDictionary, []) => new Dictionary(),
        (Callable.RebuildTensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, bool, Dictionary or null, .. var metadata]) =>
            new PickledTensor(storage, offset, Integers(shape), Integers(strides), AttributeIn(metadata)),
        _ => throw Damaged("a tensor is not described as torch.save does it"),
    };

    /// <summary>The first attribute that is set in the dictionary that _rebuild_tensor_v2 may get last.</summary>
    private string? AttributeIn(object?[] metadata) => metadata switch
    {
        [] or [null] => null,
        [Dictionary attributes] => attributes.Items.Where(item => item.Value is not false).Select(item => item.Key as string ?? "without a name").FirstOrDefault(),
        _ => throw Damaged("a tensor is not described as torch.save does it"),
    };

    private long[] Integers(object?[] tuple)
    {
        var numbers = new long[tuple.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = tuple[i] is long number ? number : throw Damaged("the shape of a tensor is not made of whole numbers");
        }

        return numbers;
    }

    private void SetItems(object?[] items)
    {
        List<(object? Key, object? Value)> target = TopDictionary().Items;
        for (int i = 0; i < items.Length; i += 2)
        {
            target.Add((items[i], i + 1 < items.Length ? items[i + 1] : throw Damaged("a key has no value")));
        }
    }

    private object? Remembered(uint index) => _memo.TryGetValue(index, out object? value) ? value : throw Damaged("it refers to something that was not there before");

    private object? Top() => _stack.Count > (_marks.Count == 0 ? 0 : _marks.Peek()) ? _stack[^1] : throw Damaged("its stack is wrong");

    private Dictionary TopDictionary() => Top() as Dictionary ?? throw Damaged("something is added to what is no dictionary");

    private object? Pop() => PopLast(1)[0];

    private object?[] PopLast(int count)
    {
        int floor = _marks.Count == 0 ? 0 : _marks.Peek();
        if (_stack.Count - floor < count)
        {
            throw Damaged("its stack is wrong");
        }

        object?[] items = [.. _stack.GetRange(_stack.Count - count, count)];
        _stack.RemoveRange(_stack.Count - count, count);
        return items;
    }

    private object?[] PopToMark()
    {
        int count = _marks.Count > 0 ? _stack.Count - _marks.Peek() : throw Damaged("its stack is wrong");
        object?[] items = PopLast(count);
        _marks.Pop();
        return items;
    }

    private long TakeLong(int count)
    {
        if (count > 8)
        {
            throw Damaged("a number has more than 64 bits");
        }

        long value = 0;
        ReadOnlySpan<byte> bytes = Take(count);
        for (int i = 0; i < count; i++)
        {
            value |= (long)bytes[i] << (8 * i);
        }

        int unused = 64 - (8 * count);
        return count is 0 or 8 ? value : value << unused >> unused; // two's complement of the bytes there are
    }

    private string TakeLine()
    {
        int end = _rest.IndexOf((byte)'\n');
        string line = Encoding.UTF8.GetString(Take(end >= 0 ? end : throw Damaged("it ends within a name")));
        _ = Take(1);
        return line;
    }

    private string TakeText(uint length) => Encoding.UTF8.GetString(Take(length));

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > _rest.Length)
        {
            throw Damaged("it ends in the middle");
        }

        ReadOnlySpan<byte> taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    private readonly BadInputException Damaged(string why) => new($"{_source}: its pickle is damaged or not one of a state dict: {why}. Use another copy.");

    private readonly BadInputException Refused(string what) => new($"{_source}: its pickle {what}. It is not read further, for safety: save only model.state_dict() with torch.save.");

    private enum Callable
    {
        OrderedDictionary,
        RebuildTensor,
        StorageClass,
    }

    private sealed record Global(Callable Callable, ElementType Type = default);

    /// <summary>A dict or OrderedDict. Keys are kept as they come; nothing looks them up.</summary>
    private sealed class Dictionary
    {
        public List<(object? Key, object? Value)> Items { get; } = [];
    }
}
