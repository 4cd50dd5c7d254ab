namespace Sparsity.Kernels.Cpu;

/// <summary>Token and position embeddings; picking single tokens out of sequences.</summary>
internal static unsafe class Embedding
{
    private const int ChannelsOfItem = 64;

    /// <summary>Overwrites output [B,T,D]: tokenEmbedding[token] (+ positionEmbedding[firstPosition + t]).</summary>
    public static void Forward(
        WorkerPool pool,
        CpuTokens tokens,
        CpuWeights tokenEmbedding,
        CpuWeights? positionEmbedding,
        CpuActivations output,
        int firstPosition
    )
    {
        float* position = positionEmbedding is null ? null : Row(positionEmbedding, firstPosition, output);
        if (output.IsSingleToken)
        {
            SingleToken.Embed(tokenEmbedding.Data + ((long)tokens.Data[0] * output.Channels), position, output);
            return;
        }

        pool.Run(output.Tiles, new ForwardJob(tokens.Data, tokenEmbedding.Data, position, output));
    }

    /// <summary>Accumulates into the gradients of both embeddings.</summary>
    public static void Backward(
        WorkerPool pool,
        CpuTokens tokens,
        CpuActivations outputGradient,
        CpuWeights tokenGradient,
        CpuWeights? positionGradient
    )
    {
        pool.Run(Blocks(outputGradient), new BackwardJob(tokens.Data, outputGradient, tokenGradient.Data));
        if (positionGradient is not null)
        {
            PositionBackward(pool, outputGradient, positionGradient);
        }
    }

    /// <summary>Overwrites output [B,T,C] with positionEmbedding[firstPosition + t].</summary>
    public static void PositionForward(WorkerPool pool, CpuWeights positionEmbedding, CpuActivations output, int firstPosition)
    {
        float* position = Row(positionEmbedding, firstPosition, output);
        if (output.IsSingleToken)
        {
            SingleToken.Embed(null, position, output);
            return;
        }

        pool.Run(output.Tiles, new ForwardJob(null, null, position, output));
    }

    /// <summary>Accumulates into the position embedding's gradient.</summary>
    public static void PositionBackward(WorkerPool pool, CpuActivations outputGradient, CpuWeights positionGradient) =>
        pool.Run(Blocks(outputGradient), new BackwardJob(null, outputGradient, positionGradient.Data));

    /// <summary>Overwrites output [B,P,C] with input at positions [B,P].</summary>
    public static void Gather(WorkerPool pool, CpuActivations input, CpuTokens positions, CpuActivations output)
    {
        if (input.IsSingleToken && output.IsSingleToken)
        {
            Elementwise.Copy(pool, input, output);
            return;
        }

        pool.Run(input.Sequences, new GatherJob(input.InLanes(), positions, output.InLanes(), scatter: false));
    }

    /// <summary>Overwrites inputGradient [B,T,C]: zero but for the gathered positions.</summary>
    public static void ScatterGradient(WorkerPool pool, CpuActivations outputGradient, CpuTokens positions, CpuActivations inputGradient) =>
        pool.Run(inputGradient.Sequences, new GatherJob(inputGradient, positions, outputGradient, scatter: true));

    /// <summary>The row of the first token, so that those of all tokens of <paramref name="output"/> exist.</summary>
    private static float* Row(CpuWeights positionEmbedding, int firstPosition, CpuActivations output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstPosition);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstPosition + output.Tokens, positionEmbedding.Rows);
        return positionEmbedding.Data + ((long)firstPosition * positionEmbedding.Columns);
    }

    private static int Blocks(CpuActivations gradient) => (gradient.Channels + ChannelsOfItem - 1) / ChannelsOfItem;

    private readonly struct ForwardJob(int* tokens, float* tokenEmbedding, float* positionEmbedding, CpuActivations output) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int channels = output.Channels;
            int valid = output.ValidLanes(tile);
            int position = tile % output.TilesPerSequence * output.Width;
            int token = (tile / output.TilesPerSequence * output.Tokens) + position;
            float** rows = stackalloc float*[CpuActivations.MaximumWidth];
            new Span<float>(output.Lanes(tile, 0), channels * output.Width).Clear();
            if (tokens != null)
            {
                for (int lane = 0; lane < valid; lane++)
                {
                    rows[lane] = tokenEmbedding + ((long)tokens[token + lane] * channels);
                }

                TokenRows.AddToLanes(rows, valid, output.Lanes(tile, 0), output.Width, channels);
            }

            if (positionEmbedding != null)
            {
                for (int lane = 0; lane < valid; lane++)
                {
                    rows[lane] = positionEmbedding + ((long)(position + lane) * channels);
                }

                TokenRows.AddToLanes(rows, valid, output.Lanes(tile, 0), output.Width, channels);
            }
        }
    }

    /// <summary>An item is a block of channels over all tokens in order. Without tokens the row is the position.</summary>
    private readonly struct BackwardJob(int* tokens, CpuActivations outputGradient, float* gradient) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int channels = outputGradient.Channels;
            int first = item * ChannelsOfItem;
            float** rows = stackalloc float*[CpuActivations.MaximumWidth];
            for (int tile = 0; tile < outputGradient.Tiles; tile++)
            {
                int valid = outputGradient.ValidLanes(tile);
                int position = tile % outputGradient.TilesPerSequence * outputGradient.Width;
                int token = (tile / outputGradient.TilesPerSequence * outputGradient.Tokens) + position;
                for (int lane = 0; lane < valid; lane++)
                {
                    rows[lane] = gradient + ((long)(tokens == null ? position + lane : tokens[token + lane]) * channels) + first;
                }

                TokenRows.AddToRows(
                    outputGradient.Lanes(tile, first),
                    outputGradient.Width,
                    Math.Min(ChannelsOfItem, channels - first),
                    rows,
                    valid
                );
            }
        }
    }

    /// <summary>Channel 0 of a token in its tile.</summary>
    private static float* Token(CpuActivations activations, int sequence, int token) =>
        activations.Lanes((sequence * activations.TilesPerSequence) + (token / activations.Width), 0) + (token % activations.Width);

    /// <summary>An item is one sequence.</summary>
    private readonly struct GatherJob(CpuActivations whole, CpuTokens positions, CpuActivations picked, bool scatter) : IParallelJob
    {
        public void Execute(int sequence, int worker)
        {
            if (scatter)
            {
                for (int tile = sequence * whole.TilesPerSequence; tile < (sequence + 1) * whole.TilesPerSequence; tile++)
                {
                    new Span<float>(whole.Lanes(tile, 0), whole.Channels * whole.Width).Clear();
                }
            }

            for (int i = 0; i < positions.Tokens; i++)
            {
                int number = (sequence * positions.Tokens) + i;
                float* inWhole = Token(whole, sequence, positions.Data[number]);
                float* inPicked = Token(picked, number / picked.Tokens, number % picked.Tokens);
                for (int channel = 0; channel < whole.Channels; channel++, inWhole += whole.Width, inPicked += picked.Width)
                {
                    if (scatter)
                    {
                        *inWhole = *inPicked;
                    }
                    else
                    {
                        *inPicked = *inWhole;
                    }
                }
            }
        }
    }
}
