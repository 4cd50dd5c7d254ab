using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Storage;

namespace Sparsity.Core.Training;

/// <summary>A model in training: its parameters with gradients and moments, and the step of spec section 2 on a given batch.</summary>
public class Trainer : IDisposable
{
    private readonly ScalarTensor _weightRms;
    private IReadOnlyList<WeightTensor>? _weights;

    /// <param name="engine">Where it is trained.</param>
    /// <param name="model">Validated.</param>
    /// <param name="training">Resolved against the model.</param>
    /// <exception cref="BadInputException">The sparsity target is impossible.</exception>
    public Trainer(IComputeEngine engine, ModelConfig model, TrainingConfig training)
    {
        Engine = engine;
        Config = training;
        Parameters = new ModelParameters(engine, model, spec => Trains(model, training, spec));
        Sparsity = new WeightSparsity(Parameters, training, training.LastStep());
        Sparsity.RequirePossible(training.LastStep());
        Optimizer = new AdamW(engine, Parameters.Trained, training, Sparsity.Schedule, Sparsity);
        Model = new Transformer(Parameters);
        Loss = new LanguageModelLoss(Model, training.BatchSequences, training.ContextTokens);
        Gradients = Model.CreateBackwardState(training.BatchSequences, training.ContextTokens);
        _weightRms = engine.AllocateScalars("RMS of the weights", 1);
    }

    public IComputeEngine Engine { get; }

    /// <summary>Whether a parameter that is no buffer gets a gradient and moments.</summary>
    public static bool Trains(ModelConfig model, TrainingConfig training, ParameterSpec spec) =>
        spec.Name != ParameterNames.Position || model.DPosEmb is not null || training.PositionEmbeddings == PositionEmbeddings.Learned;

    public TrainingConfig Config { get; }

    public ModelParameters Parameters { get; }

    public Transformer Model { get; }

    public WeightSparsity Sparsity { get; }

    public AdamW Optimizer { get; }

    /// <summary>The loss on batches of the training shape.</summary>
    public LanguageModelLoss Loss { get; }

    /// <summary>The terms of the last step's loss by name, where it has several; null otherwise.</summary>
    public virtual IReadOnlyDictionary<string, double>? Terms => null;

    protected BackwardState Gradients { get; }

    /// <summary>Everything that a checkpoint holds.</summary>
    protected virtual IReadOnlyList<Parameter> AllParameters => Parameters.All;

    /// <summary>Of everything that is trained.</summary>
    protected virtual IReadOnlyList<AdamMoments> AllMoments => Optimizer.Moments;

    /// <summary>Draws the initial weights; where the budget does not fall from dense, makes them sparse at once (official script).</summary>
    public virtual void Initialise()
    {
        Parameters.Initialise(Config.Seed);
        Sparsity.ApplyAtStart();
    }

    /// <summary>Begins with the weights of another model; makes them sparse at once as <see cref="Initialise()"/> does.</summary>
    /// <exception cref="BadInputException">It has other parameters than this one.</exception>
    public void Initialise(StoredModel source)
    {
        foreach ((ParameterSpec? own, ParameterSpec? other) in Zip(ParameterSpec.ListFor(Parameters.Config), ParameterSpec.ListFor(source.Config)))
        {
            if (own is null || other is null || own.Name != other.Name || !own.Shape.SequenceEqual(other.Shape))
            {
                throw new BadInputException(
                    $"{source.Directory}: has {Describe(other)} where the model to train has {Describe(own)}. Train a model of the same shape, or begin with another.");
            }
        }

        foreach (Parameter parameter in Parameters.All)
        {
            Engine.Write(parameter.Value, source.Values(parameter.Spec));
        }

        Sparsity.ApplyAtStart();

        static IEnumerable<(ParameterSpec? Own, ParameterSpec? Other)> Zip(IReadOnlyList<ParameterSpec> own, IReadOnlyList<ParameterSpec> other) =>
            Enumerable.Range(0, Math.Max(own.Count, other.Count)).Select(i => (own.ElementAtOrDefault(i), other.ElementAtOrDefault(i)));

        static string Describe(ParameterSpec? spec) => spec is null ? "nothing" : $"{spec.Name} [{string.Join(", ", spec.Shape)}]";
    }

    /// <summary>Sets what is to begin from the text rather than from a seed; called once, between Initialise and the first step.</summary>
    /// <param name="training">The batches that steps are given.</param>
    public virtual void Fit(BatchSource training)
    {
    }

    /// <summary>
    /// Loss before the update, and the root mean square of the gradient. Waits for the device once, between backward and update: what comes before was started
    /// without knowing a number, and the update is still under way when this returns.
    /// </summary>
    /// <param name="step">0-based.</param>
    /// <param name="tokens">[B,T].</param>
    /// <exception cref="NumericalException">The loss, a gradient or a weight is not finite; nothing was changed.</exception>
    public virtual (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
    {
        Loss.Run(tokens, withGradient: true);
        Loss.Backward(Gradients);
        Optimizer.MeasureGradient();
        ScalarTensor weightRms = MeasureWeights();
        Engine.Fetch(Loss.Sum, Optimizer.GradientRms, weightRms);
        RequireFinite(step, Loss.Mean, Optimizer.GradientRms[0]);
        Optimizer.Step(step);
        return (Loss.Mean, Optimizer.GradientRms[0]);
    }

    /// <summary>Forgets the gradients of a step that <see cref="Step"/> gave up.</summary>
    public void Skip()
    {
        foreach (AdamMoments moments in AllMoments)
        {
            Engine.Zero(moments.Parameter.Gradient!);
        }
    }

    /// <summary>Whether the weights were finite when they were last looked at: by every step before its update, and by <see cref="RequireFiniteWeights"/>.</summary>
    public bool HasFiniteWeights => double.IsFinite(_weightRms[0]);

    /// <summary>Looks at the weights as a step left them; waits for the device.</summary>
    /// <exception cref="NumericalException">One is not finite.</exception>
    public void RequireFiniteWeights(int step)
    {
        Engine.Fetch(MeasureWeights());
        if (!HasFiniteWeights)
        {
            throw new NumericalException($"step {step}: a weight is not finite after the update.{FirstNonFinite(parameter => parameter.Value, "weight")} The last checkpoint stands.");
        }
    }

    /// <summary>Writes all that <see cref="Resume"/> needs, and the model by itself.</summary>
    /// <param name="lossWatch">What the run has seen of its losses.</param>
    public virtual void Checkpoint(RunFolder folder, int nextStep, string lossWatch)
    {
        folder.WriteModel(Parameters, nextStep);
        folder.WriteState(Engine, AllParameters, AllMoments, nextStep, Config.KeepCheckpoints, KeyValuePair.Create(LossWatch.Key, lossWatch));
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
        Loss.Dispose();
        Gradients.Dispose();
        Optimizer.Dispose();
        Parameters.Dispose();
    }

    /// <summary>Leaves the root mean square of all that is trained in the tensor it returns.</summary>
    protected ScalarTensor MeasureWeights()
    {
        Engine.RootMeanSquare(_weights ??= [.. AllMoments.Select(moments => moments.Parameter.Value)], _weightRms, 0);
        return _weightRms;
    }

    /// <summary>To be called with the numbers of a step, when they and the weights' have been fetched, before its update.</summary>
    /// <param name="terms">A sentence for the message on the loss.</param>
    protected void RequireFinite(int step, double loss, double gradientRms, string terms = "")
    {
        if (!double.IsFinite(loss))
        {
            throw new NumericalException($"step {step}: the training loss is {loss}.{terms}{FirstNonFinite(parameter => parameter.Value, "weight")}");
        }

        if (!double.IsFinite(gradientRms))
        {
            throw new NumericalException($"step {step}: the gradient is not finite.{FirstNonFinite(parameter => parameter.Gradient, "gradient")}");
        }

        if (!HasFiniteWeights)
        {
            throw new NumericalException($"step {step}: a weight is not finite before the update.{FirstNonFinite(parameter => parameter.Value, "weight")} The last checkpoint stands.");
        }
    }

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
