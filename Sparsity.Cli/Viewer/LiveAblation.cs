using System.Text.Json;
using System.Text.Json.Serialization;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// Answers what would happen if nodes were switched off or scaled: runs the task's test prompts through the model, on the prompts and means
/// the circuit was measured with.
/// </summary>
/// <param name="content">The circuits there are.</param>
/// <param name="models">Their models.</param>
internal sealed class LiveAblation(ViewerContent content, ModelShelf models) : IDisposable
{
    /// <summary>Where the page sends its question.</summary>
    public const string Path = "ablation";

    private const int BatchPairs = 32;
    private const int MostWaiting = 16;
    private const int MostSessions = 4;
    private const int PromptsShown = 4;
    private const float LargestScale = 100;

    private readonly Dictionary<string, Session> _sessions = [];
    private int _waiting;

    /// <param name="body">An <see cref="AblationQuestion"/>.</param>
    /// <param name="stop">Gives up while it waits for its turn.</param>
    /// <returns>An <see cref="AblationAnswer"/>, as JSON.</returns>
    /// <exception cref="BadInputException">The question is malformed, or cannot be answered.</exception>
    public async Task<string> RunAsync(string body, CancellationToken stop)
    {
        AblationQuestion question = JsonText.Read<AblationQuestion>(JsonText.ParseObject(body, "the request"), "the request");
        CircuitFile file =
            content.Circuits.FirstOrDefault(circuit => circuit.Id == question.Circuit)
            ?? throw new BadInputException($"There is no circuit '{question.Circuit}' here.");
        if (Interlocked.Increment(ref _waiting) > MostWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new BadInputException("Too many questions at once; ask again in a moment.");
        }

        try
        {
            return await Task.Run(
                () =>
                {
                    lock (models.Turn)
                    {
                        stop.ThrowIfCancellationRequested();
                        return JsonSerializer.Serialize(Answer(file, question), JsonText.OneLine);
                    }
                },
                stop
            );
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    public void Dispose()
    {
        foreach (Session session in _sessions.Values)
        {
            session.Masked.Dispose();
        }
    }

    private AblationAnswer Answer(CircuitFile file, AblationQuestion question)
    {
        Session session = SessionOf(file);
        bool isCircuit = question.Of == AblationBase.Circuit;
        NodeSet whole = isCircuit ? session.Nodes : NodeSet.All(session.Nodes.Layout);
        float[] scales = whole.ToMask();
        foreach ((Node node, float scale) in question.Scales)
        {
            if (!(Math.Abs(scale) <= LargestScale))
            {
                throw new BadInputException($"{node}: the scale {scale} is outside -{LargestScale} to {LargestScale}.");
            }

            scales[whole.Layout.IndexOf(node)] = scale;
        }

        TaskAnswers before = isCircuit ? session.Circuit : session.Full;
        TaskAnswers after = TaskAnswers.Of(session.Masked, scales, session.Pairs, session.Loss);
        return new AblationAnswer(
            AblationNumbers.Of(after),
            AblationNumbers.Of(before),
            isCircuit ? session.Stored.Loss : session.Stored.LossFullModel,
            session.Pairs.Count,
            [
                .. session
                    .Pairs.Take(PromptsShown / 2)
                    .SelectMany(
                        (pair, i) =>
                            new[]
                            {
                                Shown(pair.FirstPrompt, before.Probabilities[i].First, after.Probabilities[i].First),
                                Shown(pair.SecondPrompt, before.Probabilities[i].Second, after.Probabilities[i].Second),
                            }
                    ),
            ]
        );

        AblationPrompt Shown(TokenizedPrompt prompt, double before, double after) =>
            new(session.Model.Text(prompt.Tokens), session.Model.Describe(prompt.Right), before, after);
    }

    private Session SessionOf(CircuitFile file)
    {
        string version = file.Version();
        if (_sessions.TryGetValue(file.Id, out Session? known) && known.Version == version)
        {
            return known;
        }

        if (known is not null || _sessions.Count >= MostSessions)
        {
            string oldest = known is not null ? file.Id : _sessions.Keys.First();
            _sessions[oldest].Masked.Dispose();
            _sessions.Remove(oldest);
        }

        return _sessions[file.Id] = Open(file, version);
    }

    private Session Open(CircuitFile file, string version)
    {
        Circuit circuit = file.Load();
        ShelvedModel model =
            models.Find(circuit, file)
            ?? throw new BadInputException("The circuit's model is not in this run. Start 'sparsity view' with --model.");
        NodeLayout layout = circuit.LayoutIn(model.Model.Config);
        CircuitInputs inputs = circuit.Imported is null
            ? InputsOf(circuit, circuit.SearchSettings, model, layout)
            : StoredInputs(circuit, file, model);
        NodeSet nodes = circuit.NodesIn(layout);
        int tokens = circuit.Settings?.MaxTokens ?? inputs.LongestPrompt;
        var masked = new MaskedRunner(
            model.Model,
            layout,
            inputs.Means,
            PruningMemory.PairsAtOnce(model.Model, tokens, BatchPairs),
            tokens,
            circuit.Settings?.FreezeNormScale ?? false
        );
        TaskLoss loss = circuit.Settings?.CircuitLoss ?? TaskLoss.Binary;
        return new Session(
            version,
            model,
            circuit.Measurements,
            nodes,
            inputs.Pairs,
            masked,
            loss,
            TaskAnswers.Of(masked, nodes.ToMask(), inputs.Pairs, loss),
            TaskAnswers.Of(masked, NodeSet.All(layout).ToMask(), inputs.Pairs, loss)
        );
    }

    /// <summary>The prompts and means of a circuit found here, drawn and measured again.</summary>
    private CircuitInputs InputsOf(Circuit circuit, PruningConfig settings, ShelvedModel model, NodeLayout layout)
    {
        PromptTask task = content.TaskOf(circuit);
        if (
            !TokenizedTask.TryCreate(
                task,
                model.Run.Tokenizer,
                settings.MaxTokens,
                out TokenizedTask? tokenized,
                out string? reason,
                settings.DistractorLines
            )
        )
        {
            throw new BadInputException($"The task cannot be posed: {reason}");
        }

        float[] means =
            settings.Ablation != Ablation.Mean
                ? new float[layout.Count]
                : MeanActivations.Of(model.Run, layout, model.Run.Training.ContextTokens, settings.MeanBatches, settings.Seed);
        return new CircuitInputs(tokenized.Sample(TaskSplit.Test, settings.Seed, settings.TestPairs).Pairs, means);
    }

    private static CircuitInputs StoredInputs(Circuit circuit, CircuitFile file, ShelvedModel model) =>
        file.Sibling(CircuitInputs.PromptsName) is { } prompts && file.Sibling(MeansFile.Name) is not null
            ? CircuitInputs.Load(System.IO.Path.GetDirectoryName(prompts)!, circuit, model.Model.Config)
            : throw new BadInputException(
                $"{file.FilePath}: {CircuitInputs.PromptsName} or {MeansFile.Name} is no longer beside it. Import the " + $"circuit again."
            );

    private sealed record Session(
        string Version,
        ShelvedModel Model,
        CircuitMeasurements Stored,
        NodeSet Nodes,
        IReadOnlyList<TokenizedPair> Pairs,
        MaskedRunner Masked,
        TaskLoss Loss,
        TaskAnswers Circuit,
        TaskAnswers Full
    );
}

/// <summary>What is edited.</summary>
internal enum AblationBase
{
    /// <summary>The circuit, everything else frozen.</summary>
    Circuit,

    /// <summary>The whole model.</summary>
    Model,
}

/// <param name="Circuit">Its id.</param>
/// <param name="Of">What the edits are made to.</param>
/// <param name="Scales">By node: 0 freezes it, 1 leaves it.</param>
internal sealed record AblationQuestion(
    [property: JsonRequired] string Circuit,
    [property: JsonRequired] AblationBase Of,
    [property: JsonRequired] Dictionary<Node, float> Scales
);

/// <param name="Edited">With the edits.</param>
/// <param name="Unedited">The same without.</param>
/// <param name="Stored">What circuit.json says of the loss without edits.</param>
/// <param name="Pairs">Pairs of prompts measured.</param>
/// <param name="Prompts">The first few.</param>
internal sealed record AblationAnswer(
    AblationNumbers Edited,
    AblationNumbers Unedited,
    double Stored,
    int Pairs,
    IReadOnlyList<AblationPrompt> Prompts
);

internal sealed record AblationNumbers(double Loss, double Accuracy, double ProbabilityA, double ProbabilityB)
{
    public static AblationNumbers Of(TaskAnswers answers) =>
        new(answers.Loss, answers.Accuracy, answers.ProbabilityA, answers.ProbabilityB);
}

/// <param name="Answer">The right one.</param>
/// <param name="Before">Its probability without the edits.</param>
/// <param name="After">And with them.</param>
internal sealed record AblationPrompt(string Text, string Answer, double Before, double After);
