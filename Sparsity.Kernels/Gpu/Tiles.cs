namespace Sparsity.Kernels.Gpu;

/// <summary>Four floats that are loaded and stored at once.</summary>
internal struct Float4
{
    public float X;
    public float Y;
    public float Z;
    public float W;

    /// <summary>sum += factor * values.</summary>
    public static void MultiplyAdd(ref Float4 sum, float factor, Float4 values)
    {
        sum.X += factor * values.X;
        sum.Y += factor * values.Y;
        sum.Z += factor * values.Z;
        sum.W += factor * values.W;
    }

    public static float Dot(Float4 a, Float4 b) => (a.X * b.X) + (a.Y * b.Y) + (a.Z * b.Z) + (a.W * b.W);
}

/// <summary>Four by four sums, one row to a <see cref="Float4"/>; stays in registers (docs/kernels.md).</summary>
internal struct Tile4x4
{
    public Float4 Row0;
    public Float4 Row1;
    public Float4 Row2;
    public Float4 Row3;

    /// <summary>tile += the outer product of rows and columns.</summary>
    public static void MultiplyAdd(ref Tile4x4 tile, Float4 rows, Float4 columns)
    {
        Float4.MultiplyAdd(ref tile.Row0, rows.X, columns);
        Float4.MultiplyAdd(ref tile.Row1, rows.Y, columns);
        Float4.MultiplyAdd(ref tile.Row2, rows.Z, columns);
        Float4.MultiplyAdd(ref tile.Row3, rows.W, columns);
    }
}
