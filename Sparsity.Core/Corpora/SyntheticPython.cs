using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>
/// Small Python modules, valid and varied, rich in the idioms of the twenty tasks (spec section 3). Both sides of each task occur in surroundings that differ
/// only in what decides.
/// </summary>
public static class SyntheticPython
{
    /// <summary>The module with this number: the same text for the same seed, always.</summary>
    public static string Module(ulong seed, long index)
    {
        var writer = new PythonModuleWriter(RandomSource.For(seed, "synthetic module", index));
        return writer.Write();
    }

    /// <summary>Distinct modules that make at least <paramref name="bytes"/> of text together.</summary>
    public static IEnumerable<string> Documents(ulong seed, long bytes)
    {
        var seen = new HashSet<string>();
        long index = 0;
        for (long written = 0; written < bytes; index++)
        {
            string module = Module(seed, index);
            if (seen.Add(module))
            {
                written += Encoding.UTF8.GetByteCount(module);
                yield return module;
            }
        }
    }
}
