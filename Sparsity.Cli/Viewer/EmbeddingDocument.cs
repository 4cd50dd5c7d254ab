using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;

namespace Sparsity.Cli.Viewer;

/// <summary>How a model's tokens and positions write all of its residual channels.</summary>
/// <param name="Vocabulary">Tokens of the model.</param>
/// <param name="Tokens">The tokens that Channels name, as text by their id.</param>
/// <param name="Channels">One per residual channel.</param>
/// <param name="Positions">Null where the model has no learned positions.</param>
internal sealed record EmbeddingDocument(
    int Vocabulary,
    IReadOnlyDictionary<string, string> Tokens,
    IReadOnlyList<ChannelEmbedding> Channels,
    PositionEmbedding? Positions
)
{
    private const int TokensPerEnd = 20;
    private const int Bins = 30;
    private const int Digits = 4;

    /// <summary>Reads the model's embeddings.</summary>
    public static EmbeddingDocument Of(ShelvedModel model)
    {
        var weights = new StrongestTokens(model.Model.Parameters);
        ChannelEmbedding[] channels = [.. Enumerable.Range(0, weights.Channels).Select(channel => Describe([.. weights.Nonzero(channel)]))];
        return new EmbeddingDocument(
            weights.Vocabulary,
            channels
                .SelectMany(channel => channel.Top.Concat(channel.Bottom))
                .Select(entry => (int)entry[0])
                .Distinct()
                .Order()
                .ToDictionary(token => token.ToString(CultureInfo.InvariantCulture), model.Describe),
            channels,
            PositionEmbedding.Of(model.Model.Parameters)
        );
    }

    private static ChannelEmbedding Describe((int Token, float Weight)[] writers) =>
        new(
            writers.Length,
            Entries(writers.Where(entry => entry.Weight > 0).OrderByDescending(entry => entry.Weight).ThenBy(entry => entry.Token)),
            Entries(writers.Where(entry => entry.Weight < 0).OrderBy(entry => entry.Weight).ThenBy(entry => entry.Token)),
            writers.Length == 0 ? null : ActivationHistogram.Of([.. writers.Select(entry => entry.Weight)], Bins)
        );

    private static double[][] Entries(IEnumerable<(int Token, float Weight)> ordered) =>
        [.. ordered.Take(TokensPerEnd).Select(entry => (double[])[entry.Token, SignificantDigits.Rounded(entry.Weight, Digits)])];
}

/// <summary>What tokens write into one residual channel.</summary>
/// <param name="Writers">Tokens whose entry is not zero.</param>
/// <param name="Top">Pairs of token and weight: the 20 most positive, largest first.</param>
/// <param name="Bottom">The 20 most negative, smallest first.</param>
/// <param name="Histogram">Of the entries that are not zero; null where all are.</param>
internal sealed record ChannelEmbedding(
    int Writers,
    IReadOnlyList<double[]> Top,
    IReadOnlyList<double[]> Bottom,
    ActivationHistogram? Histogram
);

/// <summary>Learned position embeddings as a picture.</summary>
/// <param name="Positions">Rows: positions from 0.</param>
/// <param name="Channels">Columns: channels from 0.</param>
/// <param name="Concatenated">Whether they stand beside the residual channels, not added to them.</param>
/// <param name="Largest">The largest absolute value.</param>
/// <param name="Levels">
/// Base64 of one signed byte for each, row by row: 127 times the root of its share of the largest, with its sign. The root keeps small
/// values visible.
/// </param>
internal sealed record PositionEmbedding(int Positions, int Channels, bool Concatenated, double Largest, string Levels)
{
    private const int MostPositions = 256;
    private const int MostChannels = 512;

    /// <summary>Null where the model has none, or only zeros.</summary>
    public static PositionEmbedding? Of(ModelParameters parameters)
    {
        if (parameters.Find(ParameterNames.Position) is not { Spec.IsBuffer: false } table)
        {
            return null;
        }

        float[] all = parameters.Read(ParameterNames.Position);
        int positions = Math.Min(MostPositions, table.Spec.Rows);
        int channels = Math.Min(MostChannels, table.Spec.Columns);
        float[] shown = [.. Enumerable.Range(0, positions).SelectMany(row => all.AsSpan(row * table.Spec.Columns, channels).ToArray())];
        float largest = shown.Max(Math.Abs);
        return largest == 0
            ? null
            : new PositionEmbedding(
                positions,
                channels,
                parameters.Config.DPosEmb is not null,
                largest,
                Convert.ToBase64String([.. shown.Select(value => unchecked((byte)Level(value / largest)))])
            );
    }

    private static sbyte Level(float share) => (sbyte)Math.Round(127 * Math.Sign(share) * Math.Sqrt(Math.Abs(share)));
}
