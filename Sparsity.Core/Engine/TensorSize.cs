namespace Sparsity.Core.Engine;

/// <summary>
/// How many numbers one tensor may hold: kernels count them with ints, and threads beyond the last must be countable too.
/// </summary>
internal static class TensorSize
{
    /// <summary>2^31 - 1024.</summary>
    public const int Most = int.MaxValue - 1023;

    /// <summary>The product of the sides of a tensor.</summary>
    /// <exception cref="BadInputException">It is larger than <see cref="Most"/>.</exception>
    public static int Of(string name, params ReadOnlySpan<int> sides)
    {
        System.Numerics.BigInteger size = 1;
        foreach (int side in sides)
        {
            size *= side;
        }

        if (size > Most)
        {
            string shape = string.Join(" x ", sides.ToArray());
            throw new BadInputException(
                FormattableString.Invariant($"{name}: {shape} makes a tensor of {size} numbers, but one holds at most {Most}. ")
                    + "Use more batch parts, or a smaller batch, context or model."
            );
        }

        return (int)size;
    }
}
