namespace Sparsity.TestSupport;

internal static partial class Reference
{
    /// <summary>[B,T,D]: each token's row, plus its position's row; either table may be absent.</summary>
    public static double[,,] Embedding(int[,] tokens, double[,]? tokenEmbedding, double[,]? positionEmbedding)
    {
        int channels = (tokenEmbedding ?? positionEmbedding)!.GetLength(1);
        var result = new double[tokens.GetLength(0), tokens.GetLength(1), channels];
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int t = 0; t < result.GetLength(1); t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    result[b, t, c] =
                        (tokenEmbedding is null ? 0 : tokenEmbedding[tokens[b, t], c])
                        + (positionEmbedding is null ? 0 : positionEmbedding[t, c]);
                }
            }
        }

        return result;
    }

    /// <summary>[B,P,C]: the tokens of input [B,T,C] at positions [B,P].</summary>
    public static double[,,] Gather(double[,,] input, int[,] positions)
    {
        var result = new double[positions.GetLength(0), positions.GetLength(1), input.GetLength(2)];
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int i = 0; i < result.GetLength(1); i++)
            {
                for (int c = 0; c < result.GetLength(2); c++)
                {
                    result[b, i, c] = input[b, positions[b, i], c];
                }
            }
        }

        return result;
    }
}
