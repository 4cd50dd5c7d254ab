namespace Sparsity.Core.Training;

/// <summary>Learning rate and nonzero budget at each step (docs/method.md section 2; official train.py).</summary>
/// <param name="config">Resolved.</param>
/// <param name="lastStep">N: steps run 0..N.</param>
internal sealed class Schedule(TrainingConfig config, int lastStep)
{
    private readonly double _e = config.ExpansionFactor ?? 1;
    private readonly double _eMlp = config.ExpansionFactorMlp ?? 1;

    /// <summary>The rate at a step: warm-up, decay and sharkfin.</summary>
    public double LearningRate(int step)
    {
        double rate = config.Lr;
        int warmup = (int)((config.LrWarmupFrac ?? 0) * lastStep);
        if (step < warmup)
        {
            rate *= (double)step / warmup;
        }
        else if (config.LrDecay)
        {
            rate *= Math.Min(1, 1 - ((double)(step - warmup) / (lastStep - warmup)));
        }

        return config.Pfrac is { } target && config.PfracAnneal && config.PfracAnnealScheduleLrWithL0
            ? rate * Math.Sqrt(target / Pfrac(step))
            : rate;
    }

    /// <summary>The nonzero budget at a step, relative to the base model; infinite for a dense model.</summary>
    public double Pfrac(int step)
    {
        if (config.Pfrac is not { } target)
        {
            return double.PositiveInfinity;
        }

        double start = config.PfracAnnealStartFrac * lastStep;
        double stop = config.PfracAnnealStopFrac * lastStep;
        if (!config.PfracAnneal || step >= stop)
        {
            return target;
        }

        double initial = config.PfracAnnealInitial ?? (_e * _e);
        if (step <= start)
        {
            return initial;
        }

        if (config.PfracAnnealMode == AnnealMode.PowerLaw)
        {
            return initial * Math.Pow(step / start, Math.Log(target / initial) / Math.Log(stop / start));
        }

        double progress = (step - start) / (stop - start);
        return initial + ((target - initial) * (1 - Math.Pow(1 - progress, config.PfracAnnealExponent)));
    }

    /// <summary>Share of nonzero entries of attention and MLP matrices at a step, at most 1.</summary>
    public double MatrixFraction(int step) => Math.Min(1, Pfrac(step) / (_e * _eMlp));

    /// <summary>
    /// Share of nonzero entries of embeddings and biases at a step, at most 1: pfrac' / E, dense when pfrac is, and at its own target
    /// together with it.
    /// </summary>
    public double EmbeddingFraction(int step)
    {
        double dense = _e * _eMlp;
        if (config.Pfrac is not { } target || target == dense)
        {
            return 1;
        }

        return Math.Min(1, (target + ((_e - target) * (Pfrac(step) - target) / (dense - target))) / _e);
    }
}
