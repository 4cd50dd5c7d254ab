using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Trains one tau per node (docs/method.md section 4): mask = 1 where tau >= 0; the loss is the task's plus k_coef per kept node; backward
/// takes the derivative of sigmoid(tau / temperature) for that of the step function. AdamW, gradient clipping, tau clamped to [-1, 1] after
/// each step.
/// </summary>
internal sealed class MaskTraining
{
    private readonly PruningConfig _config;
    private readonly MaskedRunner _masked;
    private readonly double[] _first;
    private readonly double[] _second;
    private readonly float[] _mask;
    private readonly float[] _maskGradient;
    private readonly (int Query, int Key)[] _tied;
    private readonly int[] _excluded;

    /// <param name="masked">The frozen model.</param>
    /// <param name="config">Validated.</param>
    /// <param name="kCoef">Penalty per kept node.</param>
    public MaskTraining(MaskedRunner masked, PruningConfig config, double kCoef)
    {
        _masked = masked;
        _config = config;
        KCoef = kCoef;
        int nodes = masked.Gates.Layout.Count;
        Tau = new double[nodes];
        _first = new double[nodes];
        _second = new double[nodes];
        _mask = new float[nodes];
        _maskGradient = new float[nodes];
        var random = RandomSource.For(config.Seed, "initial mask");
        for (int i = 0; i < nodes; i++)
        {
            Tau[i] = Math.Clamp(config.InitialBias + (config.InitialScale * random.NextNormal()), -1, 1);
        }

        _excluded = [.. config.Exclude.Select(masked.Gates.Layout.IndexOf)];
        _tied = config.TiedQueryKey ? [.. masked.Gates.Layout.QueryKeyPairs] : [];
        foreach ((int query, int key) in _tied)
        {
            Tau[key] = Tau[query];
        }

        Exclude();
    }

    /// <summary>Penalty per kept node.</summary>
    public double KCoef { get; }

    /// <summary>One per node, in [-1, 1].</summary>
    public double[] Tau { get; }

    /// <summary>
    /// Tau, and Adam's first and second moments: all that changes in a step. To be written and read back to go on with an interrupted
    /// training.
    /// </summary>
    public IReadOnlyList<double[]> State => [Tau, _first, _second];

    /// <summary>Nodes with tau >= 0.</summary>
    public int Kept => Tau.Count(tau => tau >= 0);

    /// <summary>One step; returns the task loss before it.</summary>
    /// <param name="step">0-based, below the configuration's steps.</param>
    /// <param name="pairs">The step's batch.</param>
    public double Step(int step, IReadOnlyList<TokenizedPair> pairs)
    {
        for (int i = 0; i < _mask.Length; i++)
        {
            _mask[i] = Tau[i] >= 0 ? 1 : 0;
        }

        double loss = _masked.LossAndMaskGradient(_mask, pairs, _config.Loss, _maskGradient);
        if (!double.IsFinite(loss))
        {
            throw new NumericalException(
                FormattableString.Invariant(
                    $"step {step} of mask training, k_coef {KCoef}: the task loss is {loss}. What was finished before is kept."
                )
            );
        }

        int bad = Array.FindIndex(_maskGradient, value => !float.IsFinite(value));
        if (bad >= 0)
        {
            throw new NumericalException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"step {step} of mask training, k_coef {KCoef}: the mask gradient of {_masked.Gates.Layout[bad]} is "
                        + $"{_maskGradient[bad]}. What was finished before is kept."
                )
            );
        }

        foreach ((int query, int key) in _tied)
        {
            // One parameter in two places: its gradient is the mean of the two, so that the penalty per node stays what it is.
            _maskGradient[query] = _maskGradient[key] = (_maskGradient[query] + _maskGradient[key]) / 2;
        }

        Update(step);
        return loss;
    }

    private void Update(int step)
    {
        double squares = 0;
        var gradient = new double[Tau.Length];
        for (int i = 0; i < gradient.Length; i++)
        {
            double sigmoid = 1 / (1 + Math.Exp(-Tau[i] / _config.Temperature));
            gradient[i] = (_maskGradient[i] + KCoef) * sigmoid * (1 - sigmoid) / _config.Temperature;
            squares += gradient[i] * gradient[i];
        }

        double clip = Math.Min(1, _config.GradientClipNorm / (Math.Sqrt(squares) + 1e-6));
        double rate = Rate(step);
        double firstCorrection = 1 - Math.Pow(_config.Beta1, step + 1);
        double secondCorrection = 1 - Math.Pow(_config.Beta2, step + 1);
        for (int i = 0; i < gradient.Length; i++)
        {
            double g = gradient[i] * clip;
            _first[i] += (1 - _config.Beta1) * (g - _first[i]);
            _second[i] += (1 - _config.Beta2) * ((g * g) - _second[i]);
            double decayed = Tau[i] * (1 - (rate * _config.WeightDecay));
            double updated =
                decayed - (rate * (_first[i] / firstCorrection) / (Math.Sqrt(_second[i] / secondCorrection) + _config.Epsilon));
            Tau[i] = Math.Clamp(updated, -1, 1);
        }

        Exclude();
    }

    /// <summary>Keeps excluded nodes out, whatever their gradient.</summary>
    private void Exclude()
    {
        foreach (int node in _excluded)
        {
            Tau[node] = -1;
        }
    }

    /// <summary>Rises over the warm-up, then falls linearly to 0 after the last step.</summary>
    private double Rate(int step)
    {
        double warmup = _config.LrWarmupFrac * _config.Steps;
        return step < warmup ? _config.Lr * (step + 1) / warmup : _config.Lr * (_config.Steps - step) / (_config.Steps - warmup);
    }
}
