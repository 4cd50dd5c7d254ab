using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// A dense and a sparse model side by side on batches [B,T], with the bridges between their residuals and the hybrid passes through them.
/// </summary>
internal sealed class Coupling : IDisposable
{
    /// <summary>Sums that a location has in <see cref="ErrorSums"/>: two for its encoder, two for its decoder.</summary>
    private const int SumsOfLocation = 4;

    private readonly IComputeEngine _engine;
    private readonly SelectionTensor? _selection;

    /// <param name="dense">The frozen dense model.</param>
    /// <param name="sparse">The sparse model's loss on batches of the shape wanted; stays its owner's.</param>
    /// <param name="bridges">Between the two.</param>
    public Coupling(Transformer dense, LanguageModelLoss sparse, BridgePairs bridges)
    {
        _engine = bridges.Engine;
        Bridges = bridges;
        Sparse = sparse;
        (int sequences, int tokens) = (sparse.Sequences, sparse.ContextTokens);
        Dense = new LanguageModelLoss(dense, sequences, tokens);
        IntoSparse = new HybridPass(sparse.Model, sequences, tokens);
        IntoDense = new HybridPass(dense, sequences, tokens);
        _selection = bridges.Kept is null
            ? null
            : _engine.AllocateSelection("AbsTopK of the encoder", sequences, tokens, sparse.Model.Config.DModel);
        ErrorSums = _engine.AllocateScalars("errors of encoders and decoders", SumsOfLocation * bridges.Locations);
    }

    public BridgePairs Bridges { get; }

    /// <summary>The dense model by itself; its logits are what every KL is measured against.</summary>
    public LanguageModelLoss Dense { get; }

    /// <summary>The sparse model by itself.</summary>
    public LanguageModelLoss Sparse { get; }

    /// <summary>The sparse model from an encoded residual of the dense one on.</summary>
    public HybridPass IntoSparse { get; }

    /// <summary>The dense model from a decoded residual of the sparse one on.</summary>
    public HybridPass IntoDense { get; }

    /// <summary>What <see cref="Errors"/> are made of.</summary>
    public ScalarTensor ErrorSums { get; }

    /// <summary>Runs both models by themselves on a batch [B,T].</summary>
    public void Load(ReadOnlySpan<int> tokens)
    {
        IntoSparse.Load(tokens);
        IntoDense.Load(tokens);
        Dense.Run(tokens);
        Sparse.Run(tokens);
    }

    /// <summary>
    /// Scales every untrained map by the ratio of the residuals' sizes on a batch, so that what it gives is as large as what it stands for.
    /// Takes all parts of a batch in turn.
    /// </summary>
    /// <param name="tokens">[B,T].</param>
    public void MatchSizes(ReadOnlySpan<int> tokens)
    {
        var sparse = new double[Bridges.Locations];
        var dense = new double[Bridges.Locations];
        for (int part = 0; part < Sparse.Parts; part++)
        {
            Load(tokens.Slice(part * Sparse.Sequences * Sparse.ContextTokens, Sparse.Sequences * Sparse.ContextTokens));
            for (int location = 0; location < Bridges.Locations; location++)
            {
                sparse[location] += Squares(Sparse.Forward.Residuals[location]);
                dense[location] += Squares(Dense.Forward.Residuals[location]);
            }
        }

        for (int location = 0; location < Bridges.Locations; location++)
        {
            double ratio =
                RootMeanSquare(dense[location], Dense.Forward.Residuals[location])
                / RootMeanSquare(sparse[location], Sparse.Forward.Residuals[location]);
            if (double.IsFinite(ratio) && ratio > 0)
            {
                Scale(Bridges.Decoders[location].Weight, ratio);
                Scale(Bridges.Encoders[location].Weight, 1 / ratio);
            }
        }
    }

    private void Scale(Parameter weight, double factor)
    {
        using WeightList list = _engine.ListWeights(weight.Spec.Name, [weight.Value]);
        _engine.Scale(list, (float)factor);
    }

    /// <summary>The same as the device adds them up for the errors: what those are divided by. Waits for the device.</summary>
    internal double[] TargetSquares()
    {
        int[] locations = [.. Enumerable.Range(0, Bridges.Locations)];
        foreach (int location in locations)
        {
            _engine.NormalisedErrorForward(
                Sparse.Forward.Residuals[location],
                Sparse.Forward.Residuals[location],
                ErrorSums,
                SumsOfLocation * location
            );
            _engine.NormalisedErrorForward(
                Dense.Forward.Residuals[location],
                Dense.Forward.Residuals[location],
                ErrorSums,
                (SumsOfLocation * location) + 2
            );
        }

        _engine.Fetch(ErrorSums);
        return
        [
            .. locations.Select(location => ErrorSums[(SumsOfLocation * location) + 1]),
            .. locations.Select(location => ErrorSums[(SumsOfLocation * location) + 3]),
        ];
    }

    /// <summary>
    /// Puts f(dense residual) into <see cref="IntoSparse"/> at <paramref name="location"/>, and measures its error against the sparse
    /// residual.
    /// </summary>
    public void Encode(int location)
    {
        ActivationTensor encoded = IntoSparse.Residual(location);
        Bridges.Encoders[location].Forward(_engine, Dense.Forward.Residuals[location], encoded);
        if (_selection is not null)
        {
            _engine.AbsTopKForward(encoded, Bridges.Kept!.Value, _selection);
        }

        _engine.NormalisedErrorForward(encoded, Sparse.Forward.Residuals[location], ErrorSums, SumsOfLocation * location);
    }

    /// <summary>
    /// From the gradient of the last <see cref="Encode"/>'s result, to which it adds that of <paramref name="weight"/> * error: accumulates
    /// into the encoder's gradients and into <paramref name="sparseGradient"/>, that of the sparse residual. The dense model is frozen.
    /// </summary>
    public void BackwardEncode(int location, double weight, ActivationTensor encodedGradient, ActivationTensor sparseGradient)
    {
        ActivationTensor encoded = IntoSparse.Residual(location);
        _engine.NormalisedErrorBackward(
            encoded,
            Sparse.Forward.Residuals[location],
            ErrorSums,
            SumsOfLocation * location,
            (float)weight,
            encodedGradient,
            sparseGradient
        );
        if (_selection is not null)
        {
            _engine.AbsTopKBackward(_selection, encodedGradient);
        }

        Bridges.Encoders[location].BackwardWeight(_engine, Dense.Forward.Residuals[location], encodedGradient);
    }

    /// <summary>
    /// Puts g(sparse residual) into <see cref="IntoDense"/> at <paramref name="location"/>, and measures its error against the dense
    /// residual.
    /// </summary>
    public void Decode(int location)
    {
        ActivationTensor decoded = IntoDense.Residual(location);
        Bridges.Decoders[location].Forward(_engine, Sparse.Forward.Residuals[location], decoded);
        _engine.NormalisedErrorForward(decoded, Dense.Forward.Residuals[location], ErrorSums, (SumsOfLocation * location) + 2);
    }

    /// <summary>
    /// From the gradient of the last <see cref="Decode"/>'s result, to which it adds that of <paramref name="weight"/> * error: accumulates
    /// into the decoder's gradients; overwrites <paramref name="sparseGradient"/> with that of the sparse residual.
    /// </summary>
    public void BackwardDecode(int location, double weight, ActivationTensor decodedGradient, ActivationTensor sparseGradient)
    {
        BridgeMap decoder = Bridges.Decoders[location];
        _engine.NormalisedErrorBackward(
            IntoDense.Residual(location),
            Dense.Forward.Residuals[location],
            ErrorSums,
            (SumsOfLocation * location) + 2,
            (float)weight,
            decodedGradient,
            null
        );
        decoder.BackwardWeight(_engine, Sparse.Forward.Residuals[location], decodedGradient);
        _engine.LinearBackwardInput(decoder.Weight.Value, decodedGradient, sparseGradient);
    }

    /// <summary>
    /// Normalised mean squared errors of an encoded and a decoded residual, as of the last <see cref="IComputeEngine.Fetch"/> of
    /// <see cref="ErrorSums"/>.
    /// </summary>
    public (double Encoder, double Decoder) Errors(int location)
    {
        int first = SumsOfLocation * location;
        return (ErrorSums[first] / ErrorSums[first + 1], ErrorSums[first + 2] / ErrorSums[first + 3]);
    }

    public void Dispose()
    {
        Dense.Dispose();
        IntoSparse.Dispose();
        IntoDense.Dispose();
        _selection?.Dispose();
        ErrorSums.Dispose();
    }

    private double Squares(ActivationTensor residual)
    {
        var values = new float[residual.Length];
        _engine.Read(residual, values);
        return values.Sum(value => (double)value * value);
    }

    private double RootMeanSquare(double squares, ActivationTensor part) => Math.Sqrt(squares / ((long)Sparse.Parts * part.Length));
}
