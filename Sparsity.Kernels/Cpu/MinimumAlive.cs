using System.Numerics;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Which entries every row or column of a matrix keeps whatever the others are: its largest magnitudes, ties to the lower index. What is a
/// little below the last step's threshold of its line is passed over; where too few entries are left, the line is gone over again without
/// that. One more entry than is kept tells whether there are ties to look for.
/// </summary>
internal static unsafe class MinimumAlive
{
    private const int ColumnsOfItem = 128;
    private const int Lanes = 16;

    /// <summary>How far below the last threshold an entry may be worth a look: an eighth.</summary>
    private const int Margin = 1 << 20;

    /// <summary>Overwrites, for each line, the threshold and the last tie that <see cref="WeightTopK"/> compares with.</summary>
    /// <param name="pool">Threads.</param>
    /// <param name="weights">The matrix.</param>
    /// <param name="axis">1: a line is a row; 0: a column.</param>
    /// <param name="alive">Entries that each line keeps, from 1 to its length.</param>
    /// <param name="thresholds">One for each line, with room up to a multiple of 16.</param>
    /// <param name="lastTies">As many.</param>
    public static void Thresholds(WorkerPool pool, CpuWeights weights, int axis, int alive, int* thresholds, int* lastTies)
    {
        int rowsOfItem = Math.Max(1, WeightTopK.EntriesOfItem / weights.Columns);
        int items = axis == 1 ? (weights.Rows + rowsOfItem - 1) / rowsOfItem : (weights.Columns + ColumnsOfItem - 1) / ColumnsOfItem;
        int lines = ((axis == 1 ? weights.Rows : weights.Columns) + Lanes - 1) / Lanes * Lanes;
        if (weights.LineGuesses.Length != lines)
        {
            weights.LineGuesses = new int[lines];
            weights.LineGuesses.AsSpan().Fill(-1);
        }

        pool.Run(items, new ThresholdJob(weights, alive, byRows: axis == 1, rowsOfItem, thresholds, lastTies));
    }

    /// <summary>
    /// For each line, the bits of its <paramref name="alive"/>-th largest magnitude, and the place of the last entry equal to it that is
    /// protected, or the largest number for all.
    /// </summary>
    private readonly struct ThresholdJob(CpuWeights weights, int alive, bool byRows, int rowsOfItem, int* thresholds, int* lastTies)
        : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            if (!byRows)
            {
                if (!Columns(item * ColumnsOfItem))
                {
                    weights
                        .LineGuesses.AsSpan(
                            item * ColumnsOfItem,
                            Math.Min(ColumnsOfItem, weights.LineGuesses.Length - (item * ColumnsOfItem))
                        )
                        .Fill(-1);
                    Columns(item * ColumnsOfItem);
                }

                return;
            }

            for (int row = item * rowsOfItem; row < Math.Min(weights.Rows, (item + 1) * rowsOfItem); row++)
            {
                if (!Row(row))
                {
                    weights.LineGuesses[row] = -1;
                    Row(row);
                }
            }
        }

        /// <returns>Whether enough entries are above the guess.</returns>
        private bool Row(int row)
        {
            int guess = weights.LineGuesses[row];
            int* bits = (int*)weights.Data + ((long)row * weights.Columns);
            int* best = stackalloc int[alive + 1];
            new Span<int>(best, alive + 1).Fill(guess);
            for (int column = 0; column < weights.Columns; column += Lanes)
            {
                Vector512<int> magnitudes = WeightTopK.LoadBits(bits + column, weights.Columns - column);
                ulong larger = Vector512.GreaterThan(magnitudes, Vector512.Create(best[alive])).ExtractMostSignificantBits();
                for (; larger != 0; larger &= larger - 1)
                {
                    int lane = BitOperations.TrailingZeroCount(larger);
                    if (column + lane >= weights.Columns)
                    {
                        break;
                    }

                    int magnitude = bits[column + lane] & WeightTopK.AbsoluteBits;
                    int place = alive;
                    if (magnitude <= best[place])
                    {
                        continue;
                    }

                    for (; place > 0 && magnitude > best[place - 1]; place--)
                    {
                        best[place] = best[place - 1];
                    }

                    best[place] = magnitude;
                }
            }

            int threshold = best[alive - 1];
            if (threshold == guess)
            {
                return false;
            }

            weights.LineGuesses[row] = Math.Max(-1, threshold - Margin);
            thresholds[row] = threshold;
            lastTies[row] = int.MaxValue;
            if (best[alive] < threshold)
            {
                return true;
            }

            int ties = 0;
            for (int place = alive - 1; place >= 0 && best[place] == threshold; place--)
            {
                ties++;
            }

            for (int column = 0; column < weights.Columns; column += Lanes)
            {
                ulong equal = Vector512
                    .Equals(WeightTopK.LoadBits(bits + column, weights.Columns - column), Vector512.Create(threshold))
                    .ExtractMostSignificantBits();
                for (; equal != 0 && ties > 0; equal &= equal - 1, ties--)
                {
                    lastTies[row] = column + BitOperations.TrailingZeroCount(equal);
                }

                if (ties == 0)
                {
                    break;
                }
            }

            return true;
        }

        /// <summary>A block of columns, one in each lane: wide enough that the rows are read in order.</summary>
        /// <returns>Whether enough entries of each are above its guess.</returns>
        private bool Columns(int first)
        {
            int columns = Math.Min(ColumnsOfItem, weights.Columns - first);
            int vectors = (columns + Lanes - 1) / Lanes;
            int kept = alive + 1;
            Vector512<int>* best = stackalloc Vector512<int>[kept * vectors];
            for (int i = 0; i < kept * vectors; i++)
            {
                best[i] = Vector512.Create(weights.LineGuesses, first + (i / kept * Lanes));
            }

            int* bits = (int*)weights.Data + first;
            for (int row = 0; row < weights.Rows; row++, bits += weights.Columns)
            {
                for (int vector = 0; vector < vectors; vector++)
                {
                    Vector512<int>* places = best + (vector * kept);
                    Vector512<int> magnitudes = WeightTopK.LoadBits(bits + (vector * Lanes), columns - (vector * Lanes));
                    if (!Vector512.GreaterThanAny(magnitudes, places[alive]))
                    {
                        continue;
                    }

                    for (int place = 0; place < kept; place++)
                    {
                        Vector512<int> smaller = Vector512.Min(places[place], magnitudes);
                        places[place] = Vector512.Max(places[place], magnitudes);
                        magnitudes = smaller;
                    }
                }
            }

            Vector512<int>* ties = stackalloc Vector512<int>[vectors];
            bool isOpen = false;
            for (int vector = 0; vector < vectors; vector++)
            {
                Vector512<int>* places = best + (vector * kept);
                Vector512<int> threshold = places[alive - 1];
                if (Vector512.EqualsAny(threshold, Vector512.Create(weights.LineGuesses, first + (vector * Lanes))))
                {
                    return false;
                }

                threshold.Store(thresholds + first + (vector * Lanes));
                Vector512<int> further = Vector512.Equals(places[alive], threshold);
                Vector512
                    .ConditionalSelect(further, Vector512.Create(-1), Vector512.Create(int.MaxValue))
                    .Store(lastTies + first + (vector * Lanes));
                isOpen |= further != Vector512<int>.Zero;
                ties[vector] = Vector512<int>.Zero;
                for (int place = 0; place < alive; place++)
                {
                    ties[vector] -= Vector512.Equals(places[place], threshold) & further;
                }
            }

            bits = (int*)weights.Data + first;
            for (int row = 0; row < weights.Rows && isOpen; row++, bits += weights.Columns)
            {
                isOpen = false;
                for (int vector = 0; vector < vectors; vector++)
                {
                    if (ties[vector] == Vector512<int>.Zero)
                    {
                        continue;
                    }

                    int* last = lastTies + first + (vector * Lanes);
                    Vector512<int> equal = Vector512.Equals(
                        WeightTopK.LoadBits(bits + (vector * Lanes), columns - (vector * Lanes)),
                        Vector512.Load(thresholds + first + (vector * Lanes))
                    );
                    Vector512<int> tie = equal & Vector512.GreaterThan(ties[vector], Vector512<int>.Zero);
                    ties[vector] += tie;
                    Vector512.ConditionalSelect(tie, Vector512.Create(row), Vector512.Load(last)).Store(last);
                    isOpen = true;
                }
            }

            for (int vector = 0; vector < vectors; vector++)
            {
                Vector512<int> guess = Vector512.Load(thresholds + first + (vector * Lanes)) - Vector512.Create(Margin);
                Vector512.Max(guess, Vector512.Create(-1)).CopyTo(weights.LineGuesses, first + (vector * Lanes));
            }

            return true;
        }
    }
}
