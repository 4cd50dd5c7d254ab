namespace Sparsity.Parity;

/// <summary>Selections by sorting, which engines must agree with.</summary>
internal static class ReferenceSelection
{
    /// <summary>[B,T,C]: 1 where AbsTopK keeps an entry: per token the largest magnitudes, ties by lower channel.</summary>
    public static double[,,] AbsTopK(double[,,] values, int keep)
    {
        var kept = new double[values.GetLength(0), values.GetLength(1), values.GetLength(2)];
        for (int b = 0; b < kept.GetLength(0); b++)
        {
            for (int t = 0; t < kept.GetLength(1); t++)
            {
                foreach (
                    int c in Enumerable
                        .Range(0, kept.GetLength(2))
                        .OrderByDescending(c => Math.Abs(values[b, t, c]))
                        .ThenBy(c => c)
                        .Take(keep)
                )
                {
                    kept[b, t, c] = 1;
                }
            }
        }

        return kept;
    }

    /// <summary>
    /// Which entries of a matrix stay: the minimum of every row (axis 1) or column (axis 0), then the largest of the rest; ties by lower
    /// index.
    /// </summary>
    public static bool[] KeepLargest(double[,] weights, int keep, int? aliveAxis, int minimumAlive)
    {
        int columns = weights.GetLength(1);
        double[] magnitudes = [.. Flat.Of(weights).ToArray().Select(Math.Abs)];
        var kept = new bool[magnitudes.Length];
        if (aliveAxis is not null)
        {
            foreach (IGrouping<int, int> line in Enumerable.Range(0, kept.Length).GroupBy(i => aliveAxis == 1 ? i / columns : i % columns))
            {
                foreach (int i in line.OrderByDescending(i => magnitudes[i]).ThenBy(i => i).Take(minimumAlive))
                {
                    kept[i] = true;
                }
            }
        }

        int left = keep - kept.Count(k => k);
        int[] rest =
        [
            .. Enumerable.Range(0, kept.Length).Where(i => !kept[i]).OrderByDescending(i => magnitudes[i]).ThenBy(i => i).Take(left),
        ];
        foreach (int i in rest)
        {
            kept[i] = true;
        }

        return kept;
    }
}
