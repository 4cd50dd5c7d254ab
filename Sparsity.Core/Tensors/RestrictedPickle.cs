using System.Buffers.Binary;
using System.Text;

namespace Sparsity.Core.Tensors;

/// <summary>
/// Reads the pickles that torch.save writes for plain data, and nothing else. What comes out is null, bool, long, double, string, a <see
/// cref="PickledTensor"/>, a
/// <see cref="PickledDictionary"/>, a list (List of object) or a tuple (object[]). Names of Python functions are compared with a short list
/// and never looked up,
/// so that a file cannot run code; every other opcode or name is refused. A value that the pickle names twice is one object here too: a
/// small file can mean a huge
/// tree, or one that contains itself, so read it through <see cref="PickledValue"/>, which has limits.
/// </summary>
internal ref struct RestrictedPickle
{
    private const int Protocol = 2;
    private const int MostDimensions = 64; // PyTorch's own limit
    private static readonly object[] EmptyTuple = [];
    private readonly string _source;
    private readonly string _contents;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<uint, object?> _memo = [];
    private ReadOnlySpan<byte> _rest;

    private RestrictedPickle(ReadOnlySpan<byte> pickle, string source, string contents)
    {
        _rest = pickle;
        _source = source;
        _contents = contents;
    }

    /// <summary>The one value that the pickle stands for.</summary>
    /// <param name="source">For messages.</param>
    /// <param name="contents">What the file ought to hold, for messages, such as "a state dict".</param>
    /// <exception cref="BadInputException">The pickle is damaged, or uses what plain data does not need.</exception>
    public static object? Read(ReadOnlySpan<byte> pickle, string source, string contents) =>
        new RestrictedPickle(pickle, source, contents).Run();

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
                case PickleOpcode.BINFLOAT:
                    _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); // the format's only big-endian number
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
                case PickleOpcode.EMPTY_LIST:
                    _stack.Add(new List<object?>());
                    break;
                case PickleOpcode.APPEND:
                    object? item = Pop();
                    TopList().Add(item);
                    break;
                case PickleOpcode.APPENDS:
                    object?[] items = PopToMark();
                    TopList().AddRange(items);
                    break;
                case PickleOpcode.EMPTY_DICT:
                    _stack.Add(new PickledDictionary(isOrdered: false));
                    break;
                case PickleOpcode.SETITEM:
                    SetItems(PopLast(2));
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
                    _ = TopDictionary().IsOrdered ? true : throw Damaged("something is built that is no OrderedDict");
                    break;
                default:
                    throw Refused(
                        $"has the opcode {(Enum.IsDefined(opcode) ? opcode : $"0x{(byte)opcode:x2}")}, which {_contents} does not need"
                    );
            }
        }
    }

    private Global Known(string name) =>
        name switch
        {
            "collections.OrderedDict" => new Global(Callable.OrderedDictionary),
            "torch._utils._rebuild_tensor_v2" => new Global(Callable.RebuildTensor),
            _ when name.StartsWith("torch.", StringComparison.Ordinal)
                    && ElementTypes.TryOfStorageClass(name["torch.".Length..], out ElementType type) => new Global(
                Callable.StorageClass,
                type
            ),
            _ => throw Refused($"asks for {Shown(name)}, which {_contents} does not need"),
        };

    /// <summary>From the tuple ('storage', class, key, device, length).</summary>
    private PickledStorage Storage(object? id) =>
        id is object?[] and ["storage", Global { Callable: Callable.StorageClass } type, string key, string, long length] && length >= 0
            ? new PickledStorage(type.Type, key, length)
            : throw Damaged("a storage is not described as torch.save does it");

    private object Built(Global? callable, object?[]? arguments) =>
        (callable?.Callable, arguments) switch
        {
            (Callable.OrderedDictionary, []) => new PickledDictionary(isOrdered: true),
            (
                Callable.RebuildTensor,
                [PickledStorage storage, long offset, object?[] shape, object?[] strides, bool, PickledDictionary or null, .. var metadata]
            ) => new PickledTensor(storage, offset, Integers(shape), Integers(strides), AttributeIn(metadata)),
            _ => throw Damaged("a tensor is not described as torch.save does it"),
        };

    /// <summary>The first attribute that is set in the dictionary that _rebuild_tensor_v2 may get last.</summary>
    private string? AttributeIn(object?[] metadata) =>
        metadata switch
        {
            [] or [null] => null,
            [PickledDictionary attributes] => attributes
                .Items.Where(item => item.Value is not false)
                .Select(item => item.Key as string ?? "without a name")
                .FirstOrDefault(),
            _ => throw Damaged("a tensor is not described as torch.save does it"),
        };

    private long[] Integers(object?[] tuple)
    {
        if (tuple.Length > MostDimensions)
        {
            throw Damaged($"a tensor has {tuple.Length} dimensions");
        }

        var numbers = new long[tuple.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = tuple[i] is long number ? number : throw Damaged("the shape of a tensor is not made of whole numbers");
        }

        return numbers;
    }

    private void SetItems(object?[] items)
    {
        PickledDictionary target = TopDictionary();
        for (int i = 0; i < items.Length; i += 2)
        {
            object? value = i + 1 < items.Length ? items[i + 1] : throw Damaged("a key has no value");
            if (items[i] is not (string or long or double or bool or PickledTensor))
            {
                throw Damaged("a key is neither text nor a number");
            }

            if (!target.TryAdd(items[i]!, value))
            {
                throw Damaged($"the key {Shown($"{items[i]}")} is there twice");
            }
        }
    }

    private object? Remembered(uint index) =>
        _memo.TryGetValue(index, out object? value) ? value : throw Damaged("it refers to something that was not there before");

    private object? Top() => _stack.Count > (_marks.Count == 0 ? 0 : _marks.Peek()) ? _stack[^1] : throw Damaged("its stack is wrong");

    private PickledDictionary TopDictionary() => Top() as PickledDictionary ?? throw Damaged("something is added to what is no dictionary");

    private List<object?> TopList() => Top() as List<object?> ?? throw Damaged("something is appended to what is no list");

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

    private static string Shown(string text) => text.Length <= 100 ? text : text[..100] + "...";

    private readonly BadInputException Damaged(string why) =>
        new($"{_source}: its pickle is damaged or not one of {_contents}: {why}. Use another copy.");

    private readonly BadInputException Refused(string what) =>
        new($"{_source}: its pickle {what}. It is not read further, for safety: save only {_contents} with torch.save.");

    private enum Callable
    {
        OrderedDictionary,
        RebuildTensor,
        StorageClass,
    }

    private sealed record Global(Callable Callable, ElementType Type = default);
}
