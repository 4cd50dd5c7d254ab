namespace Sparsity.Core.Bridges;

/// <summary>What bridges are before the first step.</summary>
internal enum BridgeStart
{
    /// <summary>Random weights, scaled so that what a map gives is as large as the residual it stands for.</summary>
    Random,

    /// <summary>
    /// The linear maps with the least squared error on the text that training begins with. Not in the paper; many fewer steps are then
    /// needed.
    /// </summary>
    LeastSquares,
}

/// <summary>
/// What bridges are and how they are trained (docs/method.md section 5): the weights of the loss's terms, the encoders' AbsTopK, and an
/// optimiser of the bridges' own. How the sparse model is trained stands in its training configuration.
/// </summary>
internal sealed record BridgeConfig
{
    /// <summary>Weight of the sparse model's next-token cross-entropy.</summary>
    public double CrossEntropyWeight { get; init; } = 1;

    /// <summary>Weight of KL(dense || sparse), mean over tokens. The paper calls it optional; the replication takes 1.</summary>
    public double KlSparseWeight { get; init; }

    /// <summary>Weight of the normalised errors of encoders and decoders, summed over locations.</summary>
    public double NmseWeight { get; init; } = 1;

    /// <summary>Weight of KL(dense || sparse model from an encoded residual on), mean over tokens, summed over locations.</summary>
    public double KlDenseToSparseWeight { get; init; } = 1;

    /// <summary>Weight of KL(dense || dense model from a decoded residual on), mean over tokens, summed over locations.</summary>
    public double KlSparseToDenseWeight { get; init; } = 1;

    /// <summary>Share of channels that AbsTopK keeps after an encoder, in (0, 1]; null for no AbsTopK. The replication: 0.25.</summary>
    public double? EncoderFraction { get; init; } = 0.25;

    /// <summary>Whether the final residual has a bridge too, beside the 2L residuals that sublayers read.</summary>
    public bool FinalLocation { get; init; }

    /// <summary>What bridges are before the first step.</summary>
    public BridgeStart Start { get; init; } = BridgeStart.LeastSquares;

    /// <summary>
    /// Batches that the least squares are taken over, from 1; their tokens should be many times the channels of either model.
    /// </summary>
    public int StartBatches { get; init; } = 32;

    /// <summary>
    /// Ridge of the least squares, as a share of the inputs' mean variance: how much of a direction that hardly varies is still believed.
    /// </summary>
    public double StartRidge { get; init; } = 1e-4;

    /// <summary>
    /// Largest learning rate of the bridges, as a share of each map's weights; warm-up and decay are those of the sparse model, without
    /// sharkfin. A random start needs more, about 0.02.
    /// </summary>
    public double Lr { get; init; } = 0.005;

    /// <summary>Adam's epsilon for the bridges, whose gradient is not scaled.</summary>
    public double Eps { get; init; } = 1e-8;

    /// <summary>Checks every field.</summary>
    /// <exception cref="BadInputException">A field is out of range.</exception>
    public BridgeConfig Validated(string source = "bridge configuration")
    {
        RequireWeight("cross_entropy_weight", CrossEntropyWeight);
        RequireWeight("kl_sparse_weight", KlSparseWeight);
        RequireWeight("nmse_weight", NmseWeight);
        RequireWeight("kl_dense_to_sparse_weight", KlDenseToSparseWeight);
        RequireWeight("kl_sparse_to_dense_weight", KlSparseToDenseWeight);
        Require(EncoderFraction is null or (> 0 and <= 1), "encoder_fraction", EncoderFraction, "null or in (0, 1]");
        Require(StartBatches is >= 1 and <= 1_000_000, "start_batches", StartBatches, "1 to 1000000");
        Require(StartRidge is > 0 and < 1e6, "start_ridge", StartRidge, "above 0 and below 1000000");
        Require(Lr is >= 0 and < 1e6, "lr", Lr, "from 0 to below 1000000");
        Require(Eps is >= 1e-30 and <= 1e6, "eps", Eps, "1e-30 to 1000000");
        return this;

        void RequireWeight(string field, double given) => Require(given is >= 0 and < 1e6, field, given, "from 0 to below 1000000");

        void Require(bool holds, string field, object? given, string expected)
        {
            if (!holds)
            {
                throw new BadInputException(
                    FormattableString.Invariant($"{source}: {field} is {given ?? "null"}, but must be {expected}.")
                );
            }
        }
    }
}
