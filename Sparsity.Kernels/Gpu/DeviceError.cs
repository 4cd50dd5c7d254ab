namespace Sparsity.Kernels.Gpu;

/// <summary>What went wrong on a device, in words: the exceptions of ILGPU's OpenCL side have no message, only an error code.</summary>
internal static class DeviceError
{
    public static string Describe(Exception exception)
    {
        Exception innermost = exception.GetBaseException();
        object? code = innermost.GetType().GetProperty("Error")?.GetValue(innermost);
        string message = innermost.Message.Trim();
        return code is null ? message : message.Length == 0 ? code.ToString()! : $"{code}: {message}";
    }
}
