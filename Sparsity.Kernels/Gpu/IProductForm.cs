namespace Sparsity.Kernels.Gpu;

/// <summary>Whether the inner index is the one that runs through neighbouring numbers; else it is the line.</summary>
internal interface IProductForm
{
    static abstract bool IsLeftInner { get; }

    static abstract bool IsRightInner { get; }
}

/// <summary>Tokens by rows of weights.</summary>
internal readonly struct ForwardForm : IProductForm
{
    public static bool IsLeftInner => true;

    public static bool IsRightInner => true;
}

/// <summary>Tokens by columns of weights.</summary>
internal readonly struct InputGradientForm : IProductForm
{
    public static bool IsLeftInner => true;

    public static bool IsRightInner => false;
}

/// <summary>Channels by channels, summed over tokens.</summary>
internal readonly struct WeightGradientForm : IProductForm
{
    public static bool IsLeftInner => false;

    public static bool IsRightInner => false;
}
