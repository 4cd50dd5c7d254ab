using System.Globalization;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>
/// Keeps each parameter within its nonzero budget after every step (docs/method.md section 2, step 5; official apply_topk_).
/// </summary>
internal sealed class WeightSparsity : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly Parameter[] _selected;
    private readonly ParameterSpec[] _cut;
    private readonly TrainingConfig _config;
    private readonly WeightList _weights;
    private readonly WeightBudget[] _budgets;

    /// <param name="parameters">Those with a gradient are kept sparse.</param>
    /// <param name="config">Resolved.</param>
    /// <param name="lastStep">N: steps run 0..N.</param>
    public WeightSparsity(ModelParameters parameters, TrainingConfig config, int lastStep)
    {
        _engine = parameters.Engine;
        _config = config;
        Schedule = new Schedule(config, lastStep);
        _selected = [.. parameters.Trained.Where(parameter => IsSelected(parameter.Spec))];
        Parameter[] cut = [.. _selected.Where(parameter => SmallestKept(parameter.Spec, lastStep) < parameter.Spec.Length)];
        _cut = [.. cut.Select(parameter => parameter.Spec)];
        _weights = _engine.ListWeights("weights that are kept sparse", [.. cut.Select(parameter => parameter.Value)]);
        _budgets = new WeightBudget[cut.Length];
    }

    public Schedule Schedule { get; }

    /// <summary>To be called before a run, so that it does not end in the middle.</summary>
    /// <exception cref="BadInputException">At some step the minimum alive asks for more entries than the budget allows.</exception>
    public void RequirePossible(int lastStep)
    {
        foreach (Parameter parameter in _selected)
        {
            ParameterSpec spec = parameter.Spec;

            int kept = SmallestKept(spec, lastStep);
            if (Protected(spec) > kept)
            {
                throw new BadInputException(
                    $"{spec.Name}: {_config.MinimumAlivePerNeuron} entries alive for each of {Lines(spec)} neurons make "
                        + $"{Protected(spec)}, but the sparsity target keeps {kept} of {spec.Length}. "
                        + WayOut(lastStep)
                );
            }
        }
    }

    /// <summary>The smallest budget, and the largest minimum, with which every parameter is possible.</summary>
    private string WayOut(int lastStep)
    {
        // Budgets are products and quotients of doubles: the smallest density may come out an entry too small, the next one then does not.
        const double Digits = 1e9;
        ParameterSpec[] lined = [.. _selected.Select(parameter => parameter.Spec).Where(spec => spec.AliveAxis is not null)];
        double exact = lined.Max(spec => (double)Protected(spec) / spec.Length);
        double units = (_config.ExpansionFactor ?? 1) * (_config.ExpansionFactorMlp ?? 1);
        double density = Math.Ceiling(exact * Digits) / Digits;
        while (lined.Any(spec => (int)(density * units / units * spec.Length) < Protected(spec)))
        {
            density = (Math.Round(density * Digits) + 1) / Digits;
        }

        double inverse = 1 / exact;
        string fraction = Math.Abs(inverse - Math.Round(inverse)) < 1e-9 ? FormattableString.Invariant($"1/{inverse:0}, ") : "";
        int minimum = lined.Min(spec => SmallestKept(spec, lastStep) / Lines(spec));
        string which = lined.Any(spec => Protected(spec) > Kept(spec, lastStep))
            ? "density"
            : "the budget at the start (pfrac_anneal_initial)";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Raise {which} to at least {density:0.#########} ({fraction}pfrac {density * units:0.#########}), or lower "
                + $"minimum_alive_per_neuron to at most {minimum}."
        );
    }

    private static int Lines(ParameterSpec spec) =>
        spec.AliveAxis is null ? 0
        : spec.AliveAxis == 1 ? spec.Rows
        : spec.Columns;

    private long Protected(ParameterSpec spec) => (long)Lines(spec) * _config.MinimumAlivePerNeuron;

    /// <summary>Where the budget does not fall from dense, makes the weights sparse before the first step (official script).</summary>
    public void ApplyAtStart()
    {
        if (!_config.PfracAnneal)
        {
            Apply(0);
        }
    }

    /// <summary>Entries of a parameter that may be nonzero at a step; its length where it is not selected.</summary>
    public int Kept(ParameterSpec spec, int step) =>
        spec.Sparsity switch
        {
            SparsityGroup.Matrix => (int)(Schedule.MatrixFraction(step) * spec.Length),
            SparsityGroup.Embedding or SparsityGroup.Bias => (int)(Schedule.EmbeddingFraction(step) * spec.Length),
            _ => spec.Length,
        };

    /// <summary>Zeroes, in every parameter whose budget is not its length, all but the largest entries.</summary>
    public void Apply(int step)
    {
        bool cuts = false;
        for (int i = 0; i < _cut.Length; i++)
        {
            ParameterSpec spec = _cut[i];
            _budgets[i] = new WeightBudget(Kept(spec, step), spec.AliveAxis, _config.MinimumAlivePerNeuron);
            cuts |= _budgets[i].Keep < spec.Length;
        }

        if (cuts)
        {
            _engine.KeepLargest(_weights, _budgets);
        }
    }

    public void Dispose() => _weights.Dispose();

    /// <summary>The budget moves one way only: it is smallest at one of its ends.</summary>
    private int SmallestKept(ParameterSpec spec, int lastStep) => Math.Min(Kept(spec, 0), Kept(spec, lastStep));

    private bool IsSelected(ParameterSpec spec) =>
        _config.Pfrac is not null && spec.Sparsity != SparsityGroup.Dense && (spec.Sparsity != SparsityGroup.Bias || _config.SparseBiases);
}
