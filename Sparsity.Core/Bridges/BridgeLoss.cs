using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Bridges;

/// <summary>
/// The terms of the loss on one batch, each without its weight; those of bridges location by location. Nats, and shares of mean squares.
/// </summary>
/// <param name="DenseCrossEntropy">Of the frozen dense model: no term, but what the others are to be compared with.</param>
/// <param name="CrossEntropy">Of the sparse model.</param>
/// <param name="KlSparse">KL(dense || sparse).</param>
/// <param name="NmseDenseToSparse">NMSE(f(dense residual), sparse residual).</param>
/// <param name="NmseSparseToDense">NMSE(g(sparse residual), dense residual).</param>
/// <param name="KlDenseToSparse">KL(dense || sparse model from f(dense residual) on).</param>
/// <param name="KlSparseToDense">KL(dense || dense model from g(sparse residual) on).</param>
internal sealed record BridgeTerms(
    double DenseCrossEntropy,
    double CrossEntropy,
    double KlSparse,
    IReadOnlyList<double> NmseDenseToSparse,
    IReadOnlyList<double> NmseSparseToDense,
    IReadOnlyList<double> KlDenseToSparse,
    IReadOnlyList<double> KlSparseToDense
)
{
    /// <summary>The weighted sum that training lowers.</summary>
    public double Total(BridgeConfig config) =>
        (config.CrossEntropyWeight * CrossEntropy)
        + (config.KlSparseWeight * KlSparse)
        + (config.NmseWeight * (NmseDenseToSparse.Sum() + NmseSparseToDense.Sum()))
        + (config.KlDenseToSparseWeight * KlDenseToSparse.Sum())
        + (config.KlSparseToDenseWeight * KlSparseToDense.Sum());

    /// <summary>All numbers in one row, to be added up over parts of a batch; <see cref="OfRow"/> reads them back.</summary>
    internal double[] ToRow() =>
        [DenseCrossEntropy, CrossEntropy, KlSparse, .. NmseDenseToSparse, .. NmseSparseToDense, .. KlDenseToSparse, .. KlSparseToDense];

    internal static BridgeTerms OfRow(double[] row)
    {
        double[][] lists = [.. row.Skip(3).Chunk((row.Length - 3) / 4)];
        return new BridgeTerms(row[0], row[1], row[2], lists[0], lists[1], lists[2], lists[3]);
    }

    /// <summary>For metrics: means over locations.</summary>
    public IReadOnlyDictionary<string, double> Means() =>
        new Dictionary<string, double>
        {
            ["dense_cross_entropy"] = DenseCrossEntropy,
            ["cross_entropy"] = CrossEntropy,
            ["kl_sparse"] = KlSparse,
            ["nmse_dense_to_sparse"] = NmseDenseToSparse.Average(),
            ["nmse_sparse_to_dense"] = NmseSparseToDense.Average(),
            ["kl_dense_to_sparse"] = KlDenseToSparse.Average(),
            ["kl_sparse_to_dense"] = KlSparseToDense.Average(),
        };
}

/// <summary>
/// The loss of docs/method.md section 5 and its gradient. The hybrid passes start from residuals that the plain sparse pass shares with
/// them: what they and the errors send back to each of those is summed first, and goes through the shared part once, with the sparse
/// model's own gradient.
/// </summary>
internal sealed class BridgeLoss : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly Coupling _coupling;
    private readonly BridgeConfig _config;
    private readonly BackwardState _denseGradients;
    private readonly ActivationTensor[] _sharedGradients;
    private readonly ActivationTensor _decoderInputGradient;
    private readonly ActivationTensor _divergences;

    /// <summary>Sums of divergences: of the sparse model, then of every encoded residual, then of every decoded one.</summary>
    private readonly ScalarTensor _divergenceSums;

    /// <param name="coupling">The two models; stays its owner's.</param>
    public BridgeLoss(Coupling coupling)
    {
        _coupling = coupling;
        _engine = coupling.Bridges.Engine;
        _config = coupling.Bridges.Config;
        (int sequences, int tokens) = (coupling.Sparse.Sequences, coupling.Sparse.ContextTokens);
        int channels = coupling.Sparse.Model.Config.DModel;
        int[] locations = [.. Enumerable.Range(0, coupling.Bridges.Locations)];
        _denseGradients = coupling.Dense.Model.CreateBackwardState(sequences, tokens);
        _sharedGradients =
        [
            .. locations.Select(i => _engine.AllocateActivations($"gradient of residual {i}", sequences, tokens, channels)),
        ];
        _decoderInputGradient = _engine.AllocateActivations("gradient of a decoder's input", sequences, tokens, channels);
        _divergences = _engine.AllocateActivations("KL of each token", sequences, tokens, 1);
        _divergenceSums = _engine.AllocateScalars("sums of KL", 1 + (2 * locations.Length));
    }

    /// <summary>What <see cref="Terms"/> are made of.</summary>
    public IReadOnlyList<ScalarTensor> Sums => [_coupling.Dense.Sum, _coupling.Sparse.Sum, _coupling.ErrorSums, _divergenceSums];

    private int Locations => _sharedGradients.Length;

    /// <summary>Every term on a batch, as <see cref="Run(ReadOnlySpan{int}, BackwardState)"/> leaves them; waits for the device.</summary>
    public BridgeTerms Evaluate(ReadOnlySpan<int> tokens, BackwardState? sparseGradients = null)
    {
        Run(tokens, sparseGradients);
        _engine.Fetch([.. Sums]);
        return Terms();
    }

    /// <summary>
    /// Leaves every term on a batch in <see cref="Sums"/>; where gradients are wanted, accumulates those of the weighted sum into the
    /// parameters of the sparse model and the bridges.
    /// </summary>
    /// <param name="tokens">[B,T].</param>
    /// <param name="sparseGradients">Of the sparse model; null for the terms alone.</param>
    public void Run(ReadOnlySpan<int> tokens, BackwardState? sparseGradients)
    {
        _coupling.Load(tokens);
        Run(sparseGradients);
    }

    /// <summary>The same on the loaded part of a batch that consists of <see cref="Training.LanguageModelLoss.Parts"/>.</summary>
    /// <param name="sparseGradients">Of the sparse model; null for the terms alone.</param>
    /// <param name="shares">Of each error's sum of squares, the part's share in that of the whole batch: encoders, then decoders; null for
    /// a whole batch.</param>
    /// <param name="finished">As for <see cref="Transformer.Backward"/>.</param>
    internal void Run(BackwardState? sparseGradients, double[]? shares = null, Action<int>? finished = null)
    {
        SparseHead(sparseGradients is not null);
        if (sparseGradients is not null)
        {
            Clear(sparseGradients);
        }

        for (int location = 0; location < Locations; location++)
        {
            DenseToSparse(location, Share(shares, location), sparseGradients);
            SparseToDense(location, Share(shares, Locations + location), sparseGradients);
        }

        if (sparseGradients is not null)
        {
            BackwardShared(sparseGradients, finished);
        }
    }

    /// <summary>
    /// As of the last <see cref="IComputeEngine.Fetch"/> of <see cref="Sums"/>; for a part of a batch, what it adds to the terms of the
    /// whole.
    /// </summary>
    /// <param name="shares">As <see cref="Run(BackwardState, double[], Action{int})"/> had them.</param>
    public BridgeTerms Terms(double[]? shares = null)
    {
        int[] locations = [.. Enumerable.Range(0, Locations)];
        return new BridgeTerms(
            _coupling.Dense.Mean / _coupling.Sparse.Parts,
            _coupling.Sparse.Mean / _coupling.Sparse.Parts,
            MeanDivergence(0),
            [.. locations.Select(i => _coupling.Errors(i).Encoder * Share(shares, i))],
            [.. locations.Select(i => _coupling.Errors(i).Decoder * Share(shares, Locations + i))],
            [.. locations.Select(i => MeanDivergence(IndexOfEncoded(i)))],
            [.. locations.Select(i => MeanDivergence(IndexOfDecoded(i)))]
        );
    }

    public void Dispose()
    {
        _denseGradients.Dispose();
        _decoderInputGradient.Dispose();
        _divergences.Dispose();
        _divergenceSums.Dispose();
        foreach (ActivationTensor tensor in _sharedGradients)
        {
            tensor.Dispose();
        }
    }

    private void Clear(BackwardState sparseGradients)
    {
        foreach (ActivationTensor? tensor in _sharedGradients.Append(sparseGradients.Positions).Append(_denseGradients.Positions))
        {
            if (tensor is not null)
            {
                _engine.Zero(tensor);
            }
        }
    }

    /// <summary>KL(dense || sparse); with gradients, turns the sparse logits into that of both terms that see them.</summary>
    private void SparseHead(bool withGradient)
    {
        HeadState head = _coupling.Sparse.Head;
        ActivationTensor free = _coupling.IntoSparse.Logits;
        bool divergenceCounts = withGradient && _config.KlSparseWeight > 0;
        Divergence(head.Logits, 0, divergenceCounts ? free : null, _config.KlSparseWeight);
        if (withGradient)
        {
            int counted = _coupling.Sparse.Parts * _coupling.Sparse.Sequences * (_coupling.Sparse.ContextTokens - 1);
            _engine.CrossEntropy(head.Logits, head.Targets, head.Losses, head.Logits, (float)(_config.CrossEntropyWeight / counted));
        }

        if (divergenceCounts)
        {
            _engine.Add(head.Logits, free, head.Logits);
        }
    }

    private void DenseToSparse(int location, double share, BackwardState? gradients)
    {
        HybridPass pass = _coupling.IntoSparse;
        _coupling.Encode(location);
        pass.Run(location);
        Divergence(pass.Logits, IndexOfEncoded(location), gradients is null ? null : pass.Logits, _config.KlDenseToSparseWeight);
        if (gradients is not null)
        {
            pass.Backward(location, gradients);
            _coupling.BackwardEncode(location, share * _config.NmseWeight, gradients.Residual, _sharedGradients[location]);
        }
    }

    private void SparseToDense(int location, double share, BackwardState? gradients)
    {
        HybridPass pass = _coupling.IntoDense;
        _coupling.Decode(location);
        pass.Run(location);
        Divergence(pass.Logits, IndexOfDecoded(location), gradients is null ? null : pass.Logits, _config.KlSparseToDenseWeight);
        if (gradients is not null)
        {
            pass.Backward(location, _denseGradients);
            _coupling.BackwardDecode(location, share * _config.NmseWeight, _denseGradients.Residual, _decoderInputGradient);
            _engine.Add(_sharedGradients[location], _decoderInputGradient, _sharedGradients[location]);
        }
    }

    /// <summary>The plain sparse pass backward, taking up at each residual what the bridges sent back to it.</summary>
    private void BackwardShared(BackwardState gradients, Action<int>? finished)
    {
        Transformer model = _coupling.Sparse.Model;
        ForwardState state = _coupling.Sparse.Forward;
        model.Head.Backward(state.FinalResidual, _coupling.Sparse.Head, gradients.Residual);
        finished?.Invoke(model.Sublayers);
        for (int location = model.Sublayers; location >= 0; location--)
        {
            if (location < model.Sublayers)
            {
                model.BackwardSublayer(state, gradients, location);
            }

            if (location < _sharedGradients.Length)
            {
                _engine.Add(gradients.Residual, _sharedGradients[location], gradients.Residual);
            }

            finished?.Invoke(location);
        }

        model.BackwardEmbed(state, gradients);
        finished?.Invoke(-1);
    }

    private int IndexOfEncoded(int location) => 1 + location;

    private int IndexOfDecoded(int location) => 1 + Locations + location;

    private void Divergence(ActivationTensor logits, int index, ActivationTensor? gradient, double weight)
    {
        _engine.KullbackLeibler(_coupling.Dense.Head.Logits, logits, _divergences, gradient, (float)(weight / Counted));
        _engine.Sum(_divergences, _divergenceSums, index);
    }

    private double MeanDivergence(int index) => _divergenceSums[index] / Counted;

    /// <summary>Tokens of the whole batch.</summary>
    private int Counted => _coupling.Sparse.Parts * _divergences.Length;

    private static double Share(double[]? shares, int i) => shares is null ? 1 : shares[i];
}
