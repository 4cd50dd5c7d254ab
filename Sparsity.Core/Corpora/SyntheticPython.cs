namespace Sparsity.Core.Corpora;

/// <summary>
/// Small Python modules made by rule, to train on where no corpus of real code is at hand. Valid Python, rich in the idioms of the
/// tasks, and a function of the seed and the module's number only.
/// </summary>
public static class SyntheticPython
{
    /// <summary>The text of one module: half a kilobyte to about four.</summary>
    /// <param name="seed">The corpus.</param>
    /// <param name="index">Which module of it, from 0.</param>
    public static string Module(ulong seed, long index)
    {
        var filler = new SlotFiller(RandomSource.For(seed, "synthetic python", index));
        return new ModuleWriter(filler).Write();
    }

    /// <summary>
    /// Distinct modules until their UTF-8 length reaches <paramref name="bytes"/>; about 3 % are for validation, by their number.
    /// </summary>
    /// <exception cref="BadInputException">The size is not positive.</exception>
    public static IEnumerable<CorpusDocument> Documents(ulong seed, long bytes)
    {
        if (bytes <= 0)
        {
            throw new BadInputException(
                $"The synthetic corpus was asked to have {bytes} bytes; expected at least 1. Ask for 1000000 or more to train on."
            );
        }

        return Enumerate(seed, bytes);
    }

    private static IEnumerable<CorpusDocument> Enumerate(ulong seed, long bytes)
    {
        var seen = new HashSet<UInt128>();
        long written = 0;
        for (long index = 0, validation = 0; written < bytes || validation == 0; index++)
        {
            string text = Module(seed, index);
            if (!seen.Add(ContentHash.Of(text)))
            {
                continue;
            }

            bool forValidation = index % 33 == 16;
            validation += forValidation ? 1 : 0;
            written += text.Length; // the text is ASCII
            yield return new CorpusDocument($"synthetic/{index:D7}.py", text, forValidation);
        }
    }
}
