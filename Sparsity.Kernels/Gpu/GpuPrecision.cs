namespace Sparsity.Kernels.Gpu;

/// <summary>The accuracy of dense products on tensor cores.</summary>
public enum GpuPrecision
{
    /// <summary>
    /// Each factor is the sum of two tf32 numbers, and three of their four products are summed: errors of float32's order.
    /// </summary>
    Float32,

    /// <summary>Factors rounded to 11 significant bits, sums in float32.</summary>
    TensorFloat32,
}

/// <summary>How a float32 factor is given to tensor cores.</summary>
internal interface ITensorPrecision
{
    /// <summary>Whether a factor is taken as the sum of two tf32 numbers.</summary>
    static abstract bool IsSplit { get; }
}

/// <inheritdoc cref="GpuPrecision.Float32"/>
internal readonly struct Float32Split : ITensorPrecision
{
    public static bool IsSplit => true;
}

/// <inheritdoc cref="GpuPrecision.TensorFloat32"/>
internal readonly struct TensorFloat32 : ITensorPrecision
{
    public static bool IsSplit => false;
}
