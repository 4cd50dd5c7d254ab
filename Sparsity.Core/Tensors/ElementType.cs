namespace Sparsity.Core.Tensors;

/// <summary>
/// What one number of a stored tensor is; the names are those of safetensors headers. All are little-endian; a BOOL is a byte.
/// </summary>
internal enum ElementType
{
    BOOL,
    U8,
    I8,
    U16,
    I16,
    F16,
    BF16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

/// <summary>Sizes of element types, and their names in PyTorch's files.</summary>
internal static class ElementTypes
{
    // Unsigned types wider than a byte have no storage class of this kind.
    private static readonly Dictionary<string, ElementType> ByStorageClass = new()
    {
        ["BoolStorage"] = ElementType.BOOL,
        ["ByteStorage"] = ElementType.U8,
        ["CharStorage"] = ElementType.I8,
        ["ShortStorage"] = ElementType.I16,
        ["HalfStorage"] = ElementType.F16,
        ["BFloat16Storage"] = ElementType.BF16,
        ["IntStorage"] = ElementType.I32,
        ["FloatStorage"] = ElementType.F32,
        ["LongStorage"] = ElementType.I64,
        ["DoubleStorage"] = ElementType.F64,
    };

    /// <summary>Bytes of one number.</summary>
    public static int Size(this ElementType type) =>
        type switch
        {
            ElementType.BOOL or ElementType.U8 or ElementType.I8 => 1,
            ElementType.U16 or ElementType.I16 or ElementType.F16 or ElementType.BF16 => 2,
            ElementType.U32 or ElementType.I32 or ElementType.F32 => 4,
            _ => 8,
        };

    /// <summary>PyTorch's name for a storage of this type.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    public static string StorageClass(this ElementType type) =>
        ByStorageClass.FirstOrDefault(pair => pair.Value == type).Key
        ?? throw new ArgumentException($"PyTorch's files have no storage of {type}.");

    public static bool IsFloatingPoint(this ElementType type) =>
        type is ElementType.F16 or ElementType.BF16 or ElementType.F32 or ElementType.F64;

    /// <summary>The type behind PyTorch's <c>torch.NAME</c>, such as FloatStorage.</summary>
    public static bool TryOfStorageClass(string name, out ElementType type) => ByStorageClass.TryGetValue(name, out type);
}
