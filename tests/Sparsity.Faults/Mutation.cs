using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Tensors;

namespace Sparsity.Faults;

/// <summary>Damage to files, by seed: at the level of bytes, and for JSON also at that of values.</summary>
internal static class Mutation
{
    // Stands for an escape that JsonNode would not write: half a surrogate pair.
    private const string HalfPair = "half-pair";

    private static readonly string[] Values =
    [
        "null",
        "true",
        "0",
        "-1",
        "1",
        "2147483647",
        "2147483648",
        "-9223372036854775808",
        "18446744073709551616",
        "1e308",
        "1e999",
        "-1e-320",
        "0.5",
        "\"\"",
        "\"x\"",
        "\"relu\"",
        $"\"{HalfPair}\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[1,2,3]",
        "{\"a\":1}",
        "[[[[[[]]]]]]",
        "[null]",
        "[4294967296,4294967296]",
    ];

    /// <summary>
    /// One to four changes of a few bytes: flips, runs set to extremes, runs removed, repeated, moved or made up, the end cut off.
    /// </summary>
    public static byte[] OfBytes(ReadOnlySpan<byte> original, RandomSource random)
    {
        List<byte> bytes = [.. original];
        for (int change = random.NextInt(4); change >= 0 && bytes.Count > 0; change--)
        {
            int at = random.NextInt(bytes.Count);
            int length = Math.Min(bytes.Count - at, 1 + random.NextInt(random.NextBool(0.2) ? 64 : 8));
            switch (random.NextInt(8))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.NextInt(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.NextInt(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, length);
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                case 4:
                    bytes.InsertRange(random.NextInt(bytes.Count), bytes.GetRange(at, length));
                    break;
                case 5:
                    bytes.InsertRange(at, Enumerable.Range(0, length).Select(_ => (byte)random.NextInt(256)));
                    break;
                case 6:
                    bytes.RemoveRange(at, random.NextBool(0.1) ? bytes.Count - at : 0);
                    break;
                default:
                    Number(bytes, at, random);
                    break;
            }
        }

        return [.. bytes];
    }

    /// <summary>
    /// A value somewhere in the object replaced by another, removed, renamed or copied elsewhere; now and then its bytes are damaged too.
    /// </summary>
    public static byte[] OfJson(ReadOnlySpan<byte> original, RandomSource random)
    {
        JsonNode root = JsonNode.Parse(original)!;
        for (int change = random.NextInt(3); change >= 0; change--)
        {
            JsonNode?[] containers = [.. All(root).Where(node => node is JsonObject { Count: > 0 } or JsonArray { Count: > 0 })];
            JsonNode? value = JsonNode.Parse(Values[random.NextInt(Values.Length)]);
            if (random.NextBool(0.2))
            {
                JsonNode?[] all = [.. All(root)];
                value = all[random.NextInt(all.Length)]?.DeepClone();
            }

            switch (containers.Length == 0 ? null : containers[random.NextInt(containers.Length)])
            {
                case JsonObject properties:
                    string name = properties.ElementAt(random.NextInt(properties.Count)).Key;
                    if (random.NextBool(0.2))
                    {
                        properties.Remove(name);
                    }
                    else
                    {
                        properties[random.NextBool(0.9) ? name : name + (random.NextBool(0.5) ? "2" : HalfPair)] = value;
                    }

                    break;
                case JsonArray items:
                    if (random.NextBool(0.2))
                    {
                        items.RemoveAt(random.NextInt(items.Count));
                    }
                    else
                    {
                        items[random.NextInt(items.Count)] = value;
                    }

                    break;
            }
        }

        byte[] text = System.Text.Encoding.UTF8.GetBytes(root.ToJsonString().Replace(HalfPair, "\\ud800", StringComparison.Ordinal));
        return random.NextBool(0.2) ? OfBytes(text, random) : text;
    }

    /// <summary>
    /// A copy of what a pickle stands for with one to three values replaced: by extremes, by others of its values, or by nothing at all.
    /// </summary>
    public static object? OfPickle(object? original, RandomSource random)
    {
        var all = new List<object?>();
        Collect(original, all);
        var places = Enumerable.Range(0, 1 + random.NextInt(3)).Select(_ => random.NextInt(all.Count)).ToHashSet();
        object?[] extremes =
        [
            null,
            true,
            0L,
            -1L,
            1L << 40,
            long.MinValue,
            0.5,
            double.NaN,
            double.PositiveInfinity,
            1e300,
            "",
            "x",
            "bias",
            "0.attn.v",
            new List<object?>(),
            Array.Empty<object?>(),
            new PickledDictionary(false),
        ];
        int at = 0;
        return Copy(original);

        object? Copy(object? value)
        {
            if (places.Contains(at++))
            {
                Skip(value);
                return random.NextBool(0.3) ? all[random.NextInt(all.Count)] : extremes[random.NextInt(extremes.Length)];
            }

            switch (value)
            {
                case List<object?> list:
                    return list.Select(Copy).ToList();
                case object?[] tuple:
                    return tuple.Select(Copy).ToArray();
                case PickledDictionary dictionary:
                    var copy = new PickledDictionary(dictionary.IsOrdered);
                    foreach ((object key, object? item) in dictionary.Items)
                    {
                        copy.TryAdd(key, Copy(item));
                    }

                    return copy;
                case PickledTensor tensor when random.NextInt(60) == 0:
                    long[] shape = [.. tensor.Shape];
                    return random.NextBool(0.5) || shape.Length == 0
                        ? tensor with
                        {
                            Shape = [],
                            Strides = [],
                        }
                        : tensor with
                        {
                            Shape = [shape[0] + random.NextInt(3) - 1, .. shape[1..]],
                        };
                default:
                    return value;
            }
        }

        // Places are counted through what is replaced too.
        void Skip(object? value)
        {
            var below = new List<object?>();
            Collect(value, below);
            at += below.Count - 1;
        }

        static void Collect(object? value, List<object?> into)
        {
            into.Add(value);
            IEnumerable<object?> children = value switch
            {
                List<object?> list => list,
                object?[] tuple => tuple,
                PickledDictionary dictionary => dictionary.Items.Select(item => item.Value),
                _ => [],
            };
            foreach (object? child in children)
            {
                Collect(child, into);
            }
        }
    }

    /// <summary>Sizes and places are what a reader computes with, so these become extremes more often than chance would have it.</summary>
    private static void Number(List<byte> bytes, int at, RandomSource random)
    {
        long[] extremes =
        [
            0,
            1,
            -1,
            int.MaxValue,
            int.MinValue,
            long.MaxValue,
            long.MinValue,
            uint.MaxValue,
            ushort.MaxValue,
            1L << 40,
            bytes.Count,
            bytes.Count + 1,
        ];
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, extremes[random.NextInt(extremes.Length)]);
        int size = 1 << random.NextInt(4);
        for (int i = 0; i < size && at + i < bytes.Count; i++)
        {
            bytes[at + i] = number[i];
        }
    }

    private static IEnumerable<JsonNode?> All(JsonNode? node)
    {
        yield return node;
        IEnumerable<JsonNode?> children = node switch
        {
            JsonObject properties => properties.Select(property => property.Value),
            JsonArray items => items,
            _ => [],
        };
        foreach (JsonNode? descendant in children.SelectMany(All))
        {
            yield return descendant;
        }
    }
}
