using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Verbs;

/// <summary>Says how far the searches of a plan have come, and how long they take yet.</summary>
/// <param name="plan">What is done.</param>
/// <param name="searches">How many searches of the plan remain.</param>
internal sealed class PruningProgressLine(PruningPlan plan, int searches)
{
    /// <summary>Searches that the checks of one circuit take, besides its own.</summary>
    private const double ControlsOfOne = 4;

    private readonly TimeLeft _timeLeft = new();
    private readonly Dictionary<string, double> _shares = [];
    private int _finished;

    private int Penalties => Math.Max(1, plan.Settings.KCoef.Count);

    private double WorkOfOne => 1 + (plan.Faithfulness ? ControlsOfOne : 0) + ((double)plan.Search / Penalties);

    /// <summary>For one step of one search.</summary>
    /// <param name="name">The task, and which of its trials or controls.</param>
    public void Show(string name, PruningProgress progress)
    {
        // A trial reports once, at its end; other searches as they go through their penalties.
        int penalty = Math.Max(0, plan.Settings.KCoef.ToList().IndexOf(progress.KCoef));
        _shares[name] = Math.Max(
            _shares.GetValueOrDefault(name),
            name.Contains(", trial ", StringComparison.Ordinal)
                ? 1.0 / Penalties
                : (penalty + ((double)progress.Step / plan.Settings.Steps)) / Penalties
        );
        string count = searches > 1 ? $"; {_finished} of {searches} circuits done" : "";
        Terminal.Status(
            $"{name}: k_coef {progress.KCoef}, step {progress.Step}/{plan.Settings.Steps}, loss {progress.Loss:0.000}, "
                + $"{progress.Nodes} nodes{count}{_timeLeft.After(Share)}",
            always: searches == 1 && progress.Step == plan.Settings.Steps
        );
    }

    /// <summary>For the results of one search.</summary>
    /// <param name="task">Its task.</param>
    public void Finish(string task)
    {
        _finished++;
        foreach (
            string name in _shares.Keys.Where(name => name == task || name.StartsWith(task + ", ", StringComparison.Ordinal)).ToArray()
        )
        {
            _shares.Remove(name);
        }
    }

    /// <summary>What is done, from 0 to 1.</summary>
    internal double Share => ((_finished * WorkOfOne) + _shares.Values.Sum()) / (searches * WorkOfOne);
}
