using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>The lines of a factor that a group of threads multiplies; its tile of the product is as wide.</summary>
internal interface ITensorTile
{
    /// <summary>Their number is 2 to this power.</summary>
    static abstract int LineBits { get; }
}

/// <summary>Eight warps, each with 64 by 32 sums.</summary>
internal readonly struct LargeTile : ITensorTile
{
    public static int LineBits => 7;
}

/// <summary>Four warps, each with 32 by 32 sums: for products of which 128 by 128 would be too few to keep a device busy.</summary>
internal readonly struct SmallTile : ITensorTile
{
    public static int LineBits => 6;
}

/// <summary>
/// A step of one factor on its way into shared memory: 16 words of each line, which are 16 inner indices, or 32 where a word is a pair. The
/// group has twice as many threads as the tile has lines; each fetches two or four times four neighbouring numbers, and makes of them two
/// times the four words that a thread needs at once for <see cref="IMatrixUnit"/>.
/// </summary>
/// <remarks>
/// In shared memory 32 lines are two blocks of 16, and a block has 64 times four words: [blocks, 2, 8, 4], of which the second index is
/// that of one of two instructions, the third is the thread's group and the last its member. Group g has lines 4 * g to 4 * g + 3 of the
/// 32, two in each block; member m has words 4 * m to 4 * m + 3 of them, two for each instruction. Which line and which inner index stands
/// where is free, as long as the sums are stored by it and both factors have one order: this one needs no moving of numbers between
/// registers.
/// The member is stored at m ^ (g / 2), so that the words that eight threads store or load at once are in 32 different banks.
/// </remarks>
internal static class TensorStage<TPrecision, TTile, TUnit>
    where TPrecision : struct, ITensorPrecision
    where TTile : struct, ITensorTile
    where TUnit : struct, IMatrixUnit
{
    private const int Words = 16;

    /// <summary>Inner indices of a step.</summary>
    public static int Inner => TPrecision.IsPaired ? 2 * Words : Words;

    /// <summary>Room of one step in shared memory, in words.</summary>
    public static int Length => Words << TTile.LineBits;

    /// <summary>The first four numbers that this thread fetches, as an index of <see cref="Operand.Fours"/>.</summary>
    public static int First(Operand operand, bool isInner, int firstLine, int firstInner)
    {
        int line = firstLine + LineOf(isInner);
        int k = firstInner + InnerOf(isInner);
        return isInner ? (line * (operand.LineStride >> 2)) + (k >> 2) : (k * (operand.InnerStride >> 2)) + (line >> 2);
    }

    /// <summary>From one step to the next.</summary>
    public static int Next(Operand operand, bool isInner) => isInner ? Inner >> 2 : Inner * (operand.InnerStride >> 2);

    /// <summary>
    /// There is always a load, and no branch that it would have to be waited for at. What lies beyond the last line makes sums that nobody
    /// stores; what lies beyond the last inner index is for <see cref="Cut"/>.
    /// </summary>
    public static Share Fetch(Operand operand, bool isInner, int at)
    {
        ArrayView<Float4> fours = operand.Fours;
        int last = (int)fours.Length - 1;
        int next = (isInner ? operand.LineStride : operand.InnerStride) >> 2;
        Share share = default;
        share.First = Load(fours, at, last);
        share.Second = Load(fours, at + next, last);
        if (TPrecision.IsPaired)
        {
            at += isInner ? Words >> 2 : 2 * next;
            share.Third = Load(fours, at, last);
            share.Fourth = Load(fours, at + next, last);
        }

        return share;
    }

    /// <summary>A share of a step that has only <paramref name="rest"/> inner indices: zeros for the others.</summary>
    public static Share Cut(Share share, bool isInner, int rest)
    {
        int count = rest - InnerOf(isInner);
        share.First = Operand.Cut(share.First, isInner ? count : All(count));
        share.Second = Operand.Cut(share.Second, isInner ? count : All(count - 1));
        if (TPrecision.IsPaired)
        {
            share.Third = Operand.Cut(share.Third, isInner ? count - Words : All(count - 2));
            share.Fourth = Operand.Cut(share.Fourth, isInner ? count - Words : All(count - 3));
        }

        return share;

        static int All(int count) => count > 0 ? 4 : 0;
    }

    /// <summary>Stores what was fetched to where the products read it.</summary>
    /// <param name="isLeft">Which factor: a thread's four words are the left one, or two right ones, of an instruction.</param>
    /// <param name="half">Where the step begins in <paramref name="steps"/>.</param>
    public static void Put(Share share, bool isLeft, bool isInner, ArrayView<Float4> steps, int half)
    {
        int place = half + Slot(LineOf(isInner), isInner ? Group.IdxX & 3 : (Group.IdxX >> (TTile.LineBits - 2)) & 3);
        int next = isInner ? 32 : 64;
        if (!isInner)
        {
            place += Group.IdxX >> TTile.LineBits << 5;
        }

        // Words of two lines, or of two inner indices.
        Float4 one = share.First;
        Float4 other = share.Second;
        if (TPrecision.IsPaired && isInner)
        {
            one = PairedAlong(share.First, share.Third);
            other = PairedAlong(share.Second, share.Fourth);
        }
        else if (TPrecision.IsPaired)
        {
            one = Paired(share.First, share.Second);
            other = Paired(share.Third, share.Fourth);
        }
        else if (!TPrecision.IsSplit)
        {
            one = Tf32.Round(one);
            other = Tf32.Round(other);
        }

        bool isInTurn = isLeft == isInner;
        steps[place] = isInTurn ? Four(one.X, other.X, one.Y, other.Y) : Four(one.X, one.Y, other.X, other.Y);
        steps[place + next] = isInTurn ? Four(one.Z, other.Z, one.W, other.W) : Four(one.Z, one.W, other.Z, other.W);
    }

    /// <summary>Where this thread's words of 32 lines are: block b's for instruction i 64 * b + 32 * i further.</summary>
    /// <param name="line">The first of the 32 lines.</param>
    public static int Place(int line) => Slot(line + (Group.IdxX & 28), Group.IdxX & 3);

    private static Float4 Load(ArrayView<Float4> fours, int at, int last) => fours[at < last ? at : last];

    /// <summary>The first of the lines of a tile that this thread fetches: two neighbours' numbers, or four's, follow another.</summary>
    private static int LineOf(bool isInner)
    {
        int pair = Group.IdxX >> 2;
        return isInner ? (pair >> 4 << 5) + ((pair & 7) * 4) + ((pair >> 3 & 1) * 2) : (Group.IdxX & ((1 << (TTile.LineBits - 2)) - 1)) * 4;
    }

    /// <summary>The first of the inner indices of a step that this thread fetches.</summary>
    private static int InnerOf(bool isInner)
    {
        int member = Group.IdxX >> (TTile.LineBits - 2) & 3;
        int instruction = Group.IdxX >> TTile.LineBits;
        return isInner ? (Group.IdxX & 3) * 4
            : TPrecision.IsPaired ? (member * 4) + (instruction * Words)
            : (member * 4) + (instruction * 2);
    }

    /// <summary>The place of the words of a line, of the line behind it and of a member, for the first instruction.</summary>
    private static int Slot(int line, int member)
    {
        int group = line >> 2 & 7;
        int block = (line >> 5 << 1) + (line >> 1 & 1);
        return (block * 64) + (group * 4) + (member ^ (group >> 1));
    }

    private static Float4 PairedAlong(Float4 first, Float4 next)
    {
        Float4 four = default;
        four.X = TUnit.Pair(first.X, first.Y);
        four.Y = TUnit.Pair(first.Z, first.W);
        four.Z = TUnit.Pair(next.X, next.Y);
        four.W = TUnit.Pair(next.Z, next.W);
        return four;
    }

    private static Float4 Paired(Float4 low, Float4 high)
    {
        Float4 four = default;
        four.X = TUnit.Pair(low.X, high.X);
        four.Y = TUnit.Pair(low.Y, high.Y);
        four.Z = TUnit.Pair(low.Z, high.Z);
        four.W = TUnit.Pair(low.W, high.W);
        return four;
    }

    private static Float4 Four(float x, float y, float z, float w)
    {
        Float4 four = default;
        four.X = x;
        four.Y = y;
        four.Z = z;
        four.W = w;
        return four;
    }
}

/// <summary>What a thread fetches of one factor for one step: two times four numbers, or four times where words are pairs.</summary>
internal struct Share
{
    public Float4 First;
    public Float4 Second;
    public Float4 Third;
    public Float4 Fourth;
}
