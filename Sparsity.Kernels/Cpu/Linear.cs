using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// output [O] = weight [O,I] * input [I] + bias, for every token. Sparse weights go over their nonzero entries, one multiply-add for a
/// vector of 16 tokens each; dense weights through register tiles of 6 rows by 64 tokens.
/// </summary>
internal static unsafe class Linear
{
    private const int RowsOfItem = 96;

    /// <summary>Overwrites output [B,T,O].</summary>
    public static void Forward(WorkerPool pool, CpuActivations input, CpuWeights weight, CpuWeights? bias, CpuActivations output)
    {
        weight.Sparse.Update(pool, weight);
        float* biases = bias is null ? null : bias.Data;
        if (weight.Sparse.IsUseful && input.IsSingleToken)
        {
            SingleToken.LinearForward(weight.Sparse.ByColumns, input, biases, output);
            return;
        }

        input.InLanes();
        output.InLanes();
        if (weight.Sparse.IsUseful)
        {
            RunSparse(pool, weight.Sparse.ByRows, input, output, biases);
        }
        else
        {
            RunDense(pool, weight.Data, input, output, biases);
        }
    }

    /// <summary>Overwrites inputGradient [B,T,I] with weight^T * outputGradient.</summary>
    public static void BackwardInput(WorkerPool pool, CpuWeights weight, CpuActivations outputGradient, CpuActivations inputGradient)
    {
        weight.Sparse.Update(pool, weight);
        if (weight.Sparse.IsUseful)
        {
            RunSparse(pool, weight.Sparse.ByColumns, outputGradient, inputGradient, null);
            return;
        }

        float* transposed = pool.Shared(weight.Length);
        pool.Run((weight.Columns + 15) / 16, new TransposeJob(weight, transposed));
        RunDense(pool, transposed, outputGradient, inputGradient, null);
    }

    private static void RunSparse(WorkerPool pool, NonzeroList rows, CpuActivations input, CpuActivations output, float* bias)
    {
        int blocks = (output.Channels + RowsOfItem - 1) / RowsOfItem;
        pool.Run(output.Tiles * blocks, new SparseJob(rows, input, output, bias, blocks));
    }

    private static void RunDense(WorkerPool pool, float* weight, CpuActivations input, CpuActivations output, float* bias)
    {
        int blocks = (output.Channels + RowsOfItem - 1) / RowsOfItem;
        pool.Run(output.Tiles * blocks, new DenseJob(weight, input, output, bias));
    }

    private readonly struct SparseJob(NonzeroList rows, CpuActivations input, CpuActivations output, float* bias, int blocks) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int tile = item / blocks;
            int first = item % blocks * RowsOfItem;
            int end = Math.Min(first + RowsOfItem, output.Channels);
            int width = input.Width;
            float* x = input.Lanes(tile, 0);

            // Read once: behind every store of a sum the lists' own fields could have changed, for all the compiler knows.
            int* starts = rows.Starts;
            int* indices = rows.Indices;
            float* values = rows.Values;
            for (int row = first; row < end; row++)
            {
                int start = starts[row];
                int stop = starts[row + 1];
                Vector512<float> initial = Vector512.Create(bias == null ? 0f : bias[row]);
                float* y = output.Lanes(tile, row);
                if (width == CpuActivations.MaximumWidth)
                {
                    Vector512<float> s0 = initial,
                        s1 = initial,
                        s2 = initial,
                        s3 = initial;
                    for (int i = start; i < stop; i++)
                    {
                        float* lanes = x + ((long)indices[i] * CpuActivations.MaximumWidth);
                        Vector512<float> w = Vector512.Create(values[i]);
                        s0 = Vector512.MultiplyAddEstimate(w, Vector512.Load(lanes), s0);
                        s1 = Vector512.MultiplyAddEstimate(w, Vector512.Load(lanes + 16), s1);
                        s2 = Vector512.MultiplyAddEstimate(w, Vector512.Load(lanes + 32), s2);
                        s3 = Vector512.MultiplyAddEstimate(w, Vector512.Load(lanes + 48), s3);
                    }

                    s0.Store(y);
                    s1.Store(y + 16);
                    s2.Store(y + 32);
                    s3.Store(y + 48);
                    continue;
                }

                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> sum = initial;
                    for (int i = start; i < stop; i++)
                    {
                        sum = Vector512.MultiplyAddEstimate(
                            Vector512.Create(values[i]),
                            Vector512.Load(x + ((long)indices[i] * width) + lane),
                            sum
                        );
                    }

                    sum.Store(y + lane);
                }
            }
        }
    }

    private readonly struct DenseJob(float* weight, CpuActivations input, CpuActivations output, float* bias) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            // Items run tile by tile within a block of rows, so that a block's weights stay in the cache.
            int tile = item % output.Tiles;
            int row = item / output.Tiles * RowsOfItem;
            int end = Math.Min(row + RowsOfItem, output.Channels);
            int inner = input.Channels;
            int width = input.Width;
            float* x = input.Lanes(tile, 0);
            if (width == CpuActivations.MaximumWidth)
            {
                for (; row + 6 <= end; row += 6)
                {
                    SixRows(weight + ((long)row * inner), inner, x, output.Lanes(tile, row), bias == null ? null : bias + row);
                }
            }

            for (; row < end; row++)
            {
                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    OneRow(weight + ((long)row * inner), inner, x + lane, width, bias == null ? 0f : bias[row])
                        .Store(output.Lanes(tile, row) + lane);
                }
            }
        }

        private static Vector512<float> OneRow(float* w, int inner, float* x, int width, float bias)
        {
            // Four sums, so that the multiply-adds do not wait for one another.
            Vector512<float> s0 = Vector512.Create(bias),
                s1 = default,
                s2 = default,
                s3 = default;
            int i = 0;
            for (; i + 4 <= inner; i += 4, x += 4 * width)
            {
                s0 = Vector512.MultiplyAddEstimate(Vector512.Create(w[i]), Vector512.Load(x), s0);
                s1 = Vector512.MultiplyAddEstimate(Vector512.Create(w[i + 1]), Vector512.Load(x + width), s1);
                s2 = Vector512.MultiplyAddEstimate(Vector512.Create(w[i + 2]), Vector512.Load(x + (2 * width)), s2);
                s3 = Vector512.MultiplyAddEstimate(Vector512.Create(w[i + 3]), Vector512.Load(x + (3 * width)), s3);
            }

            for (; i < inner; i++, x += width)
            {
                s0 = Vector512.MultiplyAddEstimate(Vector512.Create(w[i]), Vector512.Load(x), s0);
            }

            return (s0 + s1) + (s2 + s3);
        }

        /// <summary>The bias comes last: it is one addition to the finished sums.</summary>
        private static void SixRows(float* w, int inner, float* x, float* y, float* bias)
        {
            new Span<float>(y, 6 * CpuActivations.MaximumWidth).Clear();
            DenseTile.SixRows(w, inner, inner, x, y);
            for (int i = 0; i < 6 * CpuActivations.MaximumWidth; i += CpuActivations.VectorLanes)
            {
                (Vector512.Load(y + i) + Vector512.Create(bias == null ? 0f : bias[i / CpuActivations.MaximumWidth])).Store(y + i);
            }
        }
    }

    /// <summary>An item transposes 16 columns.</summary>
    private readonly struct TransposeJob(CpuWeights weight, float* transposed) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int first = item * 16;
            int end = Math.Min(first + 16, weight.Columns);
            int row = 0;
            for (; end - first == 16 && row + 16 <= weight.Rows; row += 16)
            {
                Transposition.Sixteen(
                    weight.Data + ((long)row * weight.Columns) + first,
                    weight.Columns,
                    transposed + ((long)first * weight.Rows) + row,
                    weight.Rows
                );
            }

            for (; row < weight.Rows; row++)
            {
                float* source = weight.Data + ((long)row * weight.Columns);
                for (int column = first; column < end; column++)
                {
                    transposed[((long)column * weight.Rows) + row] = source[column];
                }
            }
        }
    }
}
