using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// A model in training: its parameters with gradients and moments, and the step of docs/method.md section 2 on a given batch.
/// </summary>
internal class Trainer : IDisposable
{
    private readonly Action<int>? _finished;
    private readonly double[] _losses;
    private readonly ScalarTensor _weightRms;
    private WeightList? _weights;
    private IGradientSum? _exchange;

    /// <param name="engine">Where it is trained.</param>
    /// <param name="model">Validated.</param>
    /// <param name="training">Resolved against the model.</param>
    /// <param name="group">The processes that train it together; null for this one alone.</param>
    /// <exception cref="BadInputException">The sparsity target is impossible, or the batch cannot be divided among the
    /// processes.</exception>
    public Trainer(IComputeEngine engine, ModelConfig model, TrainingConfig training, IProcessGroup? group = null)
    {
        Engine = engine;
        Config = training;
        Group = group;
        Share = new BatchShare(training, group);
        _losses = new double[Share.OwnParts];
        _finished = Share.Parts == 1 ? null : sublayer => Exchange!.Finished(sublayer);
        Parameters = new ModelParameters(engine, model, spec => Trains(model, training, spec));
        Sparsity = new WeightSparsity(Parameters, training, training.LastStep());
        Sparsity.RequirePossible(training.LastStep());
        Optimizer = new AdamW(engine, Parameters.Trained, training, Sparsity.Schedule, Sparsity);
        Model = new Transformer(Parameters);
        Loss = new LanguageModelLoss(Model, Share.Sequences, training.ContextTokens, Share.Parts);
        Gradients = Model.CreateBackwardState(Share.Sequences, training.ContextTokens);
        _weightRms = engine.AllocateScalars("RMS of the weights", 1);
    }

    public IComputeEngine Engine { get; }

    /// <summary>Whether a parameter that is no buffer gets a gradient and moments.</summary>
    public static bool Trains(ModelConfig model, TrainingConfig training, ParameterSpec spec) =>
        spec.Name != ParameterNames.Position || model.DPosEmb is not null || training.PositionEmbeddings == PositionEmbeddings.Learned;

    public TrainingConfig Config { get; }

    /// <summary>The processes that train together; null for one alone.</summary>
    public IProcessGroup? Group { get; }

    /// <summary>Which parts of a batch are this process's.</summary>
    public BatchShare Share { get; }

    public ModelParameters Parameters { get; }

    public Transformer Model { get; }

    public WeightSparsity Sparsity { get; }

    public AdamW Optimizer { get; }

    /// <summary>The loss on parts of batches.</summary>
    public LanguageModelLoss Loss { get; }

    /// <summary>All that a run depends on beside its data, as text.</summary>
    public virtual string Settings => JsonText.Write(Config) + Parameters.Config.ToJson();

    /// <summary>The terms of the last step's loss by name, where it has several; null otherwise.</summary>
    public virtual IReadOnlyDictionary<string, double>? Terms => null;

    /// <summary>Time for which gradients of other processes were waited for.</summary>
    public TimeSpan ExchangeWaited => _exchange?.Waited ?? TimeSpan.Zero;

    protected BackwardState Gradients { get; }

    /// <summary>Sums the gradients of a batch's parts; null where it has only one.</summary>
    protected IGradientSum? Exchange =>
        Share.Parts == 1 ? null : _exchange ??= CreateSum([.. AllMoments.Select(moments => moments.Parameter)]);

    /// <summary>What backward passes over parts of a batch call, as <see cref="Transformer.Backward"/> does.</summary>
    protected Action<int>? Finished => _finished;

    /// <summary>Everything that a checkpoint holds.</summary>
    protected virtual IReadOnlyList<Parameter> AllParameters => Parameters.All;

    /// <summary>Moments of everything that is trained.</summary>
    protected virtual IReadOnlyList<AdamMoments> AllMoments => Optimizer.Moments;

    /// <summary>
    /// Draws the initial weights; where the budget does not fall from dense, makes them sparse at once (official script).
    /// </summary>
    public virtual void Initialise()
    {
        Parameters.Initialise(Config.Seed);
        Sparsity.ApplyAtStart();
    }

    /// <summary>Begins with the weights of another model; makes them sparse at once as <see cref="Initialise()"/> does.</summary>
    /// <exception cref="BadInputException">It has other parameters than this one.</exception>
    public void Initialise(StoredModel source)
    {
        foreach (
            (ParameterSpec? own, ParameterSpec? other) in Zip(
                ParameterSpec.ListFor(Parameters.Config),
                ParameterSpec.ListFor(source.Config)
            )
        )
        {
            if (own is null || other is null || own.Name != other.Name || !own.Shape.SequenceEqual(other.Shape))
            {
                throw new BadInputException(
                    $"{source.Directory}: has {Describe(other)} where the model to train has {Describe(own)}. Train a model of the "
                        + $"same shape, or begin with another."
                );
            }
        }

        foreach (Parameter parameter in Parameters.All)
        {
            Engine.Write(parameter.Value, source.Values(parameter.Spec));
        }

        Sparsity.ApplyAtStart();

        static IEnumerable<(ParameterSpec? Own, ParameterSpec? Other)> Zip(
            IReadOnlyList<ParameterSpec> own,
            IReadOnlyList<ParameterSpec> other
        ) => Enumerable.Range(0, Math.Max(own.Count, other.Count)).Select(i => (own.ElementAtOrDefault(i), other.ElementAtOrDefault(i)));

        static string Describe(ParameterSpec? spec) => spec is null ? "nothing" : $"{spec.Name} [{string.Join(", ", spec.Shape)}]";
    }

    /// <summary>Sets what is to begin from the text rather than from a seed; called once, between Initialise and the first step.</summary>
    /// <param name="training">The batches that steps are given.</param>
    public virtual void InitialiseFromData(BatchSource training) { }

    /// <summary>
    /// Loss before the update, and the root mean square of the gradient. Waits for the device once, between backward and update: what comes
    /// before was started without knowing a number, and the update is still under way when this returns.
    /// </summary>
    /// <param name="step">0-based.</param>
    /// <param name="tokens">[B,T].</param>
    /// <exception cref="NumericalException">The loss, a gradient or a weight is not finite; nothing was changed.</exception>
    public virtual (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
    {
        for (int part = 0; part < _losses.Length; part++)
        {
            Loss.Run(Share.Part(tokens, part), withGradient: true);
            Loss.Backward(Gradients, Finished);
            if (part < _losses.Length - 1)
            {
                Engine.Fetch(Loss.Sum); // the next part overwrites it
                _losses[part] = Loss.Mean;
            }
        }

        Exchange?.Complete();
        Optimizer.MeasureGradient();
        ScalarTensor weightRms = MeasureWeights();
        Engine.Fetch(Loss.Sum, Optimizer.GradientRms, weightRms);
        _losses[^1] = Loss.Mean;
        double loss = Share.Sum(_losses) / Share.Parts;
        double rms = Optimizer.GradientRms[0];
        RequireFinite(step, loss, rms);
        Optimizer.Step(step);
        return (loss, rms);
    }

    /// <summary>Mean loss over the first <paramref name="batches"/> batches of consecutive windows.</summary>
    public double MeanLoss(BatchSource source, int batches)
    {
        var losses = new double[batches * Share.OwnParts];
        for (int i = 0; i < losses.Length; i++)
        {
            losses[i] = Loss.Evaluate(Share.Part(source.Consecutive(i / Share.OwnParts), i % Share.OwnParts));
        }

        return Share.Sum(losses) / batches / Share.Parts;
    }

    /// <summary>Kurtosis of the final residual, in the last part that <see cref="MeanLoss"/> saw.</summary>
    public double FinalResidualKurtosis() => Group.Gather(Loss.FinalResidualKurtosis())[^1];

    /// <summary>Overwrites weights and moments with those of rank 0.</summary>
    public void Replicate()
    {
        if (Group is not null)
        {
            Replicas.Broadcast(
                Engine,
                Group,
                AllParameters
                    .Select(parameter => parameter.Value)
                    .Concat(AllMoments.SelectMany(moments => new[] { moments.First, moments.Second }))
            );
        }
    }

    /// <exception cref="NumericalException">The weights of another process are no longer the same; thrown in all of them.</exception>
    public void RequireSameWeights(int step)
    {
        if (Group is not null)
        {
            Replicas.RequireSameWeights(Engine, Group, AllParameters, step);
        }
    }

    /// <summary>Forgets the gradients of a step that <see cref="Step"/> gave up.</summary>
    public void DiscardGradients()
    {
        foreach (AdamMoments moments in AllMoments)
        {
            Engine.Zero(moments.Parameter.Gradient!);
        }
    }

    /// <summary>
    /// Whether the weights were finite when they were last looked at: by every step before its update, and by
    /// <see cref="RequireFiniteWeights"/>.
    /// </summary>
    public bool HasFiniteWeights => double.IsFinite(_weightRms[0]);

    /// <summary>Looks at the weights as a step left them; waits for the device.</summary>
    /// <exception cref="NumericalException">One is not finite.</exception>
    public void RequireFiniteWeights(int step)
    {
        Engine.Fetch(MeasureWeights());
        if (!HasFiniteWeights)
        {
            throw new NumericalException(
                $"step {step}: a weight is not finite after the update.{FirstNonFinite(parameter => parameter.Value, "weight")} The "
                    + $"last checkpoint stands."
            );
        }
    }

    /// <summary>Writes all that <see cref="Resume"/> needs, and the model by itself.</summary>
    /// <param name="lossWatch">What the run has seen of its losses.</param>
    public virtual void Checkpoint(RunFolder folder, int nextStep, string lossWatch)
    {
        folder.WriteModel(Parameters, nextStep);
        folder.WriteState(
            Engine,
            AllParameters,
            AllMoments,
            nextStep,
            Config.KeepCheckpoints,
            KeyValuePair.Create(LossWatch.Key, lossWatch)
        );
    }

    /// <summary>Reads the last checkpoint.</summary>
    public RestoredState Resume(RunFolder folder) => folder.ReadState(Engine, AllParameters, AllMoments);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        _weightRms.Dispose();
        _weights?.Dispose();
        _exchange?.Dispose();
        Loss.Dispose();
        Gradients.Dispose();
        Optimizer.Dispose();
        Sparsity.Dispose();
        Parameters.Dispose();
    }

    /// <summary>Leaves the root mean square of all that is trained in the tensor it returns.</summary>
    protected ScalarTensor MeasureWeights()
    {
        _weights ??= Engine.ListWeights("trained weights", [.. AllMoments.Select(moments => moments.Parameter.Value)]);
        Engine.RootMeanSquare(_weights, _weightRms, 0);
        return _weightRms;
    }

    /// <summary>To be called with the numbers of a step, when they and the weights' have been fetched, before its update.</summary>
    /// <param name="terms">A sentence for the message on the loss.</param>
    protected void RequireFinite(int step, double loss, double gradientRms, string terms = "")
    {
        if (!double.IsFinite(loss))
        {
            throw new NumericalException(
                $"step {step}: the training loss is {loss}.{terms}{FirstNonFinite(parameter => parameter.Value, "weight")}"
            );
        }

        if (!double.IsFinite(gradientRms))
        {
            throw new NumericalException(
                $"step {step}: the gradient is not finite.{FirstNonFinite(parameter => parameter.Gradient, "gradient")}"
            );
        }

        if (!HasFiniteWeights)
        {
            throw new NumericalException(
                $"step {step}: a weight is not finite before the update.{FirstNonFinite(parameter => parameter.Value, "weight")} The "
                    + $"last checkpoint stands."
            );
        }
    }

    private IGradientSum CreateSum(Parameter[] trained) =>
        Group is null ? new PartSums(Engine, Share.Parts, trained) : new GradientExchange(Engine, Group, Share.OwnParts, trained);

    private string FirstNonFinite(Func<Parameter, WeightTensor?> tensorOf, string what)
    {
        foreach (Parameter parameter in AllParameters)
        {
            if (tensorOf(parameter) is not { } tensor)
            {
                continue;
            }

            var values = new float[tensor.Length];
            Engine.Read(tensor, values);
            int index = Array.FindIndex(values, value => !float.IsFinite(value));
            if (index >= 0)
            {
                return $" First: the {what} of {parameter.Spec.Name}, entry {index}, is {values[index]}.";
            }
        }

        return $" Every {what} is finite; an activation overflowed.";
    }
}
