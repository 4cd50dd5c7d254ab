namespace Sparsity.Core.Corpora;

/// <summary>
/// Walks a struct in Thrift's compact protocol, of which the headers in Parquet files are made, and checks that it ends within its bytes:
/// the library that reads them goes on for ever on some that do not.
/// </summary>
internal ref struct CompactThrift(ReadOnlySpan<byte> bytes)
{
    private const int MostLevels = 32;

    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private int _at;
    private bool _isDamaged;

    /// <summary>Bytes of the struct; null where it is damaged.</summary>
    /// <param name="bytes">It begins with the struct.</param>
    /// <param name="field">A whole number of the struct itself that is wanted.</param>
    /// <param name="value">That number; 0 where it is not there.</param>
    public static int? Length(ReadOnlySpan<byte> bytes, int field, out long value)
    {
        var walk = new CompactThrift(bytes);
        value = walk.Struct(0, field);
        return walk._isDamaged ? null : walk._at;
    }

    private long Struct(int level, int wanted)
    {
        long found = 0;
        long field = 0;
        _isDamaged |= level > MostLevels;
        while (!_isDamaged)
        {
            byte header = Byte();
            if (header == 0)
            {
                break;
            }

            field = header >> 4 == 0 ? ZigZag() : field + (header >> 4);
            long number = Value(header & 15, level, inList: false);
            found = field == wanted ? number : found;
        }

        return found;
    }

    /// <returns>The number, of whole numbers.</returns>
    private long Value(int type, int level, bool inList)
    {
        switch (type)
        {
            case 1 or 2: // true, false; in a struct the type is the value
                return inList ? Byte() : 0;
            case 3:
                return Byte();
            case >= 4 and <= 6:
                return ZigZag();
            case 7:
                Skip(8);
                return 0;
            case 8:
                Skip(VarInt());
                return 0;
            case 9 or 10:
                byte list = Byte();
                Elements(list >> 4 == 15 ? VarInt() : (ulong)(list >> 4), level, list & 15);
                return 0;
            case 11:
                ulong pairs = VarInt();
                byte types = pairs == 0 ? (byte)0 : Byte();
                Elements(pairs, level, types >> 4, types & 15);
                return 0;
            case 12:
                return Struct(level + 1, -1);
            default:
                _isDamaged = true;
                return 0;
        }
    }

    private void Elements(ulong count, int level, params ReadOnlySpan<int> types)
    {
        _isDamaged |= count > (ulong)(_bytes.Length - _at); // each has at least a byte
        for (ulong i = 0; i < count && !_isDamaged; i++)
        {
            foreach (int type in types)
            {
                Value(type, level + 1, inList: true);
            }
        }
    }

    private byte Byte()
    {
        if (_at < _bytes.Length)
        {
            return _bytes[_at++];
        }

        _isDamaged = true;
        return 0;
    }

    private void Skip(ulong count)
    {
        _isDamaged |= count > (ulong)(_bytes.Length - _at);
        _at += _isDamaged ? 0 : (int)count;
    }

    private long ZigZag()
    {
        ulong number = VarInt();
        return (long)(number >> 1) ^ -(long)(number & 1);
    }

    private ulong VarInt()
    {
        ulong number = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Byte();
            number |= (ulong)(next & 127) << shift;
            if (next < 128)
            {
                return number;
            }
        }

        _isDamaged = true;
        return 0;
    }
}
