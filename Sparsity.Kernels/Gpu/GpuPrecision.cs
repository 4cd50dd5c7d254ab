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

    /// <summary>Factors rounded to bfloat16, which has 8 significant bits and float32's range; sums in float32.</summary>
    BFloat16,
}

/// <summary>The names of precisions on the command line.</summary>
internal static class GpuPrecisionName
{
    public static string Of(GpuPrecision precision) =>
        precision switch
        {
            GpuPrecision.Float32 => "float32",
            GpuPrecision.TensorFloat32 => "tf32",
            _ => "bf16",
        };

    /// <returns>Null for a text that is no name.</returns>
    public static GpuPrecision? Find(string name) =>
        Enum.GetValues<GpuPrecision>()
            .Where(precision => Of(precision) == name)
            .Select(precision => (GpuPrecision?)precision)
            .FirstOrDefault();
}

/// <summary>How a float32 factor is given to tensor cores.</summary>
internal interface ITensorPrecision
{
    /// <summary>Whether a factor is taken as the sum of two tf32 numbers.</summary>
    static abstract bool IsSplit { get; }

    /// <summary>Whether a word of 32 bits holds the bfloat16 of two neighbouring inner indices; else it is the tf32 of one.</summary>
    static abstract bool IsPaired { get; }
}

/// <inheritdoc cref="GpuPrecision.Float32"/>
internal readonly struct Float32Split : ITensorPrecision
{
    public static bool IsSplit => true;

    public static bool IsPaired => false;
}

/// <inheritdoc cref="GpuPrecision.TensorFloat32"/>
internal readonly struct TensorFloat32 : ITensorPrecision
{
    public static bool IsSplit => false;

    public static bool IsPaired => false;
}

/// <inheritdoc cref="GpuPrecision.BFloat16"/>
internal readonly struct BFloat16 : ITensorPrecision
{
    public static bool IsSplit => false;

    public static bool IsPaired => true;
}
