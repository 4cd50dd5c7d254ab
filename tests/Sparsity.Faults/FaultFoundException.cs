namespace Sparsity.Faults;

/// <summary>Something was lost, or went wrong silently.</summary>
internal sealed class FaultFoundException(string message) : Exception(message)
{
    public static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new FaultFoundException(message);
        }
    }
}
