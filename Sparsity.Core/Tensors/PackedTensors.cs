using System.Runtime.InteropServices;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// Tensors of which only the numbers that are not zero are stored, in a safetensors file (docs/formats.md). NAME stands in it as
/// NAME.values (F16) and NAME.gaps (U8): how many zeros lie before each value, in row-major order. A run of more than 255 zeros has zeros
/// among its values, one for every 256 places. The metadata shape/NAME has the tensor's sizes, joined by commas.
/// </summary>
internal static class PackedTensors
{
    private const string ShapePrefix = "shape/";
    private const string Values = ".values";
    private const string Gaps = ".gaps";

    /// <summary>The two tensors to be written for one, and its entry of the metadata.</summary>
    /// <param name="shape">Of the tensor.</param>
    /// <param name="numbers">In row-major order; they are rounded to 16 bits.</param>
    /// <param name="path">The file to be written, for messages.</param>
    /// <exception cref="BadInputException">A number is too large for 16 bits.</exception>
    public static (TensorToWrite[] Tensors, KeyValuePair<string, string> Shape) Pack(
        string name,
        IReadOnlyList<int> shape,
        ReadOnlySpan<float> numbers,
        string path
    )
    {
        var values = new List<Half>();
        var gaps = new List<byte>();
        int zeros = 0;
        foreach (float number in numbers)
        {
            Half value = (Half)number;
            if (!Half.IsFinite(value))
            {
                throw new BadInputException(
                    FormattableString.Invariant($"{path}: {name} has a weight of {number}, but 16 bits hold at most {Half.MaxValue}. ")
                        + "Use another kind of folder."
                );
            }

            if (value == Half.Zero && zeros < byte.MaxValue)
            {
                zeros++;
                continue;
            }

            values.Add(value);
            gaps.Add((byte)zeros);
            zeros = 0;
        }

        Half[] kept = [.. values];
        byte[] skipped = [.. gaps];
        return (
            [
                new TensorToWrite(name + Values, [kept.Length], ElementType.F16, () => MemoryMarshal.AsBytes<Half>(kept)),
                new TensorToWrite(name + Gaps, [skipped.Length], ElementType.U8, () => skipped),
            ],
            KeyValuePair.Create(ShapePrefix + name, string.Join(",", shape))
        );
    }

    /// <summary>A file's tensors, with those that are packed under their own names and shapes.</summary>
    /// <param name="metadata">Of the file.</param>
    /// <exception cref="BadInputException">A packed tensor lacks a part, or its parts do not fit its shape.</exception>
    public static IReadOnlyList<StoredTensor> Unpacked(
        MappedFile file,
        IReadOnlyList<StoredTensor> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        var all = new List<StoredTensor>(tensors);
        foreach ((string key, string sizes) in metadata)
        {
            if (!key.StartsWith(ShapePrefix, StringComparison.Ordinal))
            {
                continue;
            }

            string name = key[ShapePrefix.Length..];
            StoredTensor values = Take(Values, ElementType.F16);
            StoredTensor gaps = Take(Gaps, ElementType.U8);
            long[] shape = [.. sizes.Split(',').Select(size => NumberText.TryParse(size, out int n) && n > 0 ? n : -1L)];
            if (!StoredTensor.TryCount(shape, out int count) || values.Length != gaps.Length || values.Length > count)
            {
                throw Damaged(name, $"its shape is {sizes}, with {values.Length} values and {gaps.Length} gaps");
            }

            all.Add(new StoredTensor(file, name, shape, () => Spread(name, count, values, gaps)));

            StoredTensor Take(string part, ElementType type)
            {
                StoredTensor found = all.Find(tensor => tensor.Name == name + part) ?? throw Damaged(name, $"the file has no {name}{part}");
                all.Remove(found);
                return found.Type == type && found.Shape.Count == 1
                    ? found
                    : throw Damaged(name, $"{found.Name} is {found.Type} of {found.Shape.Count} dimensions, but must be {type} of one");
            }
        }

        return all;

        float[] Spread(string name, int count, StoredTensor values, StoredTensor gaps)
        {
            var numbers = new float[count];
            ReadOnlySpan<float> kept = values.Floats();
            ReadOnlySpan<byte> skipped = gaps.Bytes();
            int next = 0;
            for (int i = 0; i < kept.Length; i++, next++)
            {
                next += skipped[i];
                if (next >= count)
                {
                    throw Damaged(name, $"value {i} lies behind its {count} places");
                }

                numbers[next] = kept[i];
            }

            return numbers;
        }

        BadInputException Damaged(string name, string why) => new($"{file.Path}: {name} is damaged: {why}. Use another copy.");
    }
}
