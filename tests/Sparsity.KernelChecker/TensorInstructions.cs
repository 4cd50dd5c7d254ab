namespace ILGPU;

/// <summary>
/// NVIDIA's instructions that a kernel may hold, done by 32 threads together: every thread lays down its words of the factors, and takes
/// its sums when all have. Products are summed in double; the hardware passes over the lowest bits of the factors, and so does this. Where
/// which number is held is as the manual of PTX says.
/// </summary>
/// <param name="threads">Of the group.</param>
internal sealed class TensorInstructions(int threads)
{
    /// <summary>By turns, so that one barrier does: an instruction's words are read before all have come to the next but one.</summary>
    private readonly uint[][][] _left = [new uint[threads][], new uint[threads][]];
    private readonly uint[][][] _right = [new uint[threads][], new uint[threads][]];
    private readonly int[] _turns = new int[threads];

    /// <param name="instruction">Its name comes first.</param>
    public static void Multiply(string instruction, Span<float> sums, uint[] left, uint[] right)
    {
        Func<uint, uint, double> product = instruction.Split(' ')[0] switch
        {
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" => OfTf32,
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" => OfPairs,
            _ => throw new NotSupportedException("The checker does not know NVIDIA's instruction " + instruction),
        };
        GroupRun.Current.Run.Tensor.Multiply(product, sums, left, right);
    }

    /// <param name="instruction">Its name comes first.</param>
    /// <returns>The first number in the upper half, the second in the lower.</returns>
    public static uint Convert(string instruction, float upper, float lower) =>
        instruction.Split(' ')[0] == "cvt.rn.bf16x2.f32"
            ? (BFloat16Of(upper) << 16) | BFloat16Of(lower)
            : throw new NotSupportedException("The checker does not know NVIDIA's instruction " + instruction);

    private void Multiply(Func<uint, uint, double> product, Span<float> sums, uint[] left, uint[] right)
    {
        int thread = Group.IdxX;
        int turn = _turns[thread]++ & 1;
        _left[turn][thread] = left;
        _right[turn][thread] = right;
        Group.Barrier();
        int warp = thread & ~31;
        for (int i = 0; i < 4; i++)
        {
            int row = (thread & 31) / 4;
            int column = (2 * (thread & 3)) + (i & 1);
            double sum = 0;
            for (int k = 0; k < 4; k++)
            {
                uint[] ofRow = _left[turn][warp + (row * 4) + k];
                uint[] ofColumn = _right[turn][warp + (column * 4) + k];
                sum += product(ofRow[i / 2], ofColumn[0]) + product(ofRow[2 + (i / 2)], ofColumn[1]);
            }

            sums[i] += (float)sum;
        }
    }

    private static double OfTf32(uint left, uint right) => (double)Float(left & 0xFFFFE000) * Float(right & 0xFFFFE000);

    private static double OfPairs(uint left, uint right) =>
        ((double)Float(left << 16) * Float(right << 16)) + ((double)Float(left & 0xFFFF0000) * Float(right & 0xFFFF0000));

    private static float Float(uint bits) => BitConverter.UInt32BitsToSingle(bits);

    private static uint BFloat16Of(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? 0x7FFF : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    }
}
