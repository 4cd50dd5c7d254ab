using System.Runtime.InteropServices;

namespace ILGPU;

/// <summary>
/// Keeps the threads that a group's threads run on together on one processor, on Linux: only one of them has its turn at any time, and a
/// turn goes several times faster to a thread of the same processor than to one of another, which may be asleep.
/// </summary>
internal static unsafe partial class KernelProcessor
{
    /// <summary>Of glibc's cpu_set_t: a bit for each of 1,024 processors.</summary>
    private const int MaskBytes = 128;

    private static readonly byte[]? All = Allowed();
    private static readonly byte[]? One = All is null ? null : OneOf(All);

    /// <summary>Moves the calling thread there.</summary>
    public static void Enter() => Set(One);

    /// <summary>Lets the calling thread run anywhere again.</summary>
    public static void Leave() => Set(All);

    private static byte[]? Allowed()
    {
        var mask = new byte[MaskBytes];
        return OperatingSystem.IsLinux() && GetAffinity(0, MaskBytes, mask) >= 0 ? mask : null;
    }

    /// <summary>Test programs that run at the same time mostly take different ones.</summary>
    private static byte[] OneOf(byte[] all)
    {
        int[] processors = [.. Enumerable.Range(0, 8 * MaskBytes).Where(i => (all[i / 8] >> (i % 8) & 1) != 0)];
        int chosen = processors[Environment.ProcessId % processors.Length];
        var one = new byte[MaskBytes];
        one[chosen / 8] = (byte)(1 << (chosen % 8));
        return one;
    }

    /// <summary>Where it is refused, threads stay where they were: nothing but time depends on it.</summary>
    private static void Set(byte[]? mask)
    {
        if (mask is not null)
        {
            _ = SetAffinity(0, MaskBytes, mask);
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nint bytes, [Out] byte[] mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint bytes, byte[] mask);
}
