using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>One task pruned in one model with one seed: its prompts, its masks, and a circuit for every target loss.</summary>
public sealed class TaskPruning : IDisposable
{
    private readonly PruningSubject _subject;
    private readonly TokenizedTask _task;
    private readonly PruningConfig _config;

    private TaskPruning(PruningSubject subject, TokenizedTask task, PruningConfig config, TaskPrompts prompts)
    {
        _subject = subject;
        _task = task;
        _config = config;
        Prompts = prompts;
        Evaluator = new CircuitEvaluator(subject.Model, subject.Means(config), config);
    }

    /// <summary>Draws the prompts of a task.</summary>
    /// <param name="subject">The model.</param>
    /// <param name="task">The task.</param>
    /// <param name="config">The settings.</param>
    /// <param name="reason">If the tokenizer or the context cannot pose the task: why.</param>
    /// <exception cref="BadInputException">A setting is out of range.</exception>
    public static TaskPruning? TryCreate(PruningSubject subject, PromptTask task, PruningConfig config, out string reason)
    {
        config = subject.Fitted(config.Validated("pruning settings"));
        bool posed = TokenizedTask.TryCreate(
            task,
            subject.Tokenizer,
            config.MaxTokens,
            out TokenizedTask? tokenized,
            out string? why,
            config.DistractorLines
        );
        reason = why ?? "";
        return posed ? new TaskPruning(subject, tokenized!, config, TaskPrompts.Draw(tokenized!, config)) : null;
    }

    /// <inheritdoc cref="TryCreate"/>
    /// <exception cref="BadInputException">The task cannot be posed.</exception>
    public static TaskPruning Create(PruningSubject subject, PromptTask task, PruningConfig config) =>
        TryCreate(subject, task, config, out string reason) ?? throw new BadInputException($"task {task.Name} cannot be posed: {reason}");

    internal CircuitEvaluator Evaluator { get; }

    internal TaskPrompts Prompts { get; }

    /// <summary>Task loss of the whole model on test prompts.</summary>
    public double LossFullModel => Evaluator.Loss(NodeSet.All(Evaluator.Layout), Prompts.Test);

    /// <summary>Trains the masks and gives the circuit of the settings' target.</summary>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    public PrunedTask Find(CancellationToken stop = default) => Find([_config.TargetLoss], stop: stop)[0];

    /// <summary>Trains the masks and gives the circuit of each target, in the order of the targets.</summary>
    /// <param name="targets">Target losses in nats.</param>
    /// <param name="checkpoint">Where an interrupted training stands and is kept; null to keep nothing.</param>
    /// <param name="progress">Called now and then.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    internal IReadOnlyList<PrunedTask> Find(
        IReadOnlyList<double> targets,
        MaskCheckpoint? checkpoint = null,
        Action<PruningProgress>? progress = null,
        CancellationToken stop = default
    )
    {
        using var search = new CircuitSearch(Evaluator);
        IReadOnlyList<ChosenNodes> all =
            _config.Method == PruningMethod.Mask
                ? search.Choose(search.TrainMasks(Prompts.Training, checkpoint, progress, stop), Prompts.Selection, targets)
                : Attribution.Choose(Evaluator, Prompts.Selection, targets, _config.Method);
        var found = new List<PrunedTask>();
        foreach ((ChosenNodes chosen, double target) in all.Zip(targets))
        {
            stop.ThrowIfCancellationRequested();
            progress?.Invoke(new PruningProgress(chosen.KCoef, 0, chosen.SelectionLoss, chosen.Nodes.Count));
            found.Add(Describe(chosen, target));
        }

        return found;
    }

    /// <summary>Measures a choice of nodes on the test prompts.</summary>
    /// <param name="chosen">The nodes.</param>
    /// <param name="target">The loss they were to meet.</param>
    internal PrunedTask Describe(ChosenNodes chosen, double target)
    {
        Circuit circuit = Evaluator.Describe(chosen.Nodes, chosen, _task.Task.Name, _subject.Name, _subject.Tokenizer, Prompts);
        circuit = circuit with { TaskFile = _task.Task.File, Settings = _config with { TargetLoss = target } };
        return new PrunedTask(
            circuit,
            !Evaluator.HasDetails(circuit.Nodes.Count) || _subject.Pretraining.IsEmpty
                ? null
                : ActivationSurvey.Measure(Evaluator, circuit, Prompts, _subject.Tokenizer, _subject.Pretraining, _subject.ContextTokens)
        );
    }

    /// <summary>A circuit after some of its nodes were taken out by hand, and with them what fed only them; measured anew.</summary>
    /// <param name="circuit">Found in this model by a search.</param>
    /// <param name="removed">Nodes of the circuit.</param>
    public PrunedTask WithoutNodes(Circuit circuit, IReadOnlyList<Node> removed)
    {
        double target = circuit.SearchSettings.TargetLoss;
        NodeLayout layout = Evaluator.Layout;
        NodeSet nodes = Evaluator.Graph.WithoutDeadEnds(NodeSet.Of(layout, circuit.Nodes.Select(node => node.Node).Except(removed)));
        var scores = new double[layout.Count];
        foreach (CircuitNode node in circuit.Nodes)
        {
            scores[layout.IndexOf(node.Node)] = node.Tau ?? 0;
        }

        double loss = Evaluator.Loss(nodes, Prompts.Selection);
        PrunedTask pruned = Describe(
            new ChosenNodes(nodes, scores, circuit.KCoef ?? 0, loss, loss <= target * _config.SelectionMargin),
            target
        );
        return pruned with { Circuit = pruned.Circuit with { RemovedByHand = [.. circuit.RemovedByHand, .. removed] } };
    }

    /// <summary>The same prompts with other answers, for a control: nothing in the model was trained for them.</summary>
    /// <param name="change">Gives a pair its answers.</param>
    /// <param name="config">How it is searched.</param>
    internal TaskPruning WithAnswers(Func<TokenizedPair, TokenizedPair> change, PruningConfig config) =>
        new(
            _subject,
            _task,
            config with
            {
                MaxTokens = _config.MaxTokens,
            },
            new TaskPrompts([.. Prompts.Training.Select(change)], [.. Prompts.Selection.Select(change)], [.. Prompts.Test.Select(change)])
        );

    public void Dispose() => Evaluator.Dispose();
}
