using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>A model in training: its parameters with gradients and moments, and the step of spec section 2 on a given batch.</summary>
public sealed class Trainer : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly BackwardState _backward;

    /// <param name="engine">Where it is trained.</param>
    /// <param name="model">Validated.</param>
    /// <param name="training">Resolved against the model.</param>
    /// <exception cref="BadInputException">The sparsity target is impossible.</exception>
    public Trainer(IComputeEngine engine, ModelConfig model, TrainingConfig training)
    {
        _engine = engine;
        Config = training;
        Parameters = new ModelParameters(engine, model, spec => spec.Name != ParameterNames.Position || model.DPosEmb is not null || training.PositionEmbeddings == PositionEmbeddings.Learned);
        Sparsity = new WeightSparsity(Parameters, training, training.LastStep());
        Sparsity.RequirePossible(training.LastStep());
        Optimizer = new AdamW(Parameters, training, Sparsity);
        Model = new Transformer(Parameters);
        Loss = new LanguageModelLoss(Model, training.BatchSequences, training.ContextTokens);
        _backward = Model.CreateBackwardState(training.BatchSequences, training.ContextTokens);
    }

    public TrainingConfig Config { get; }

    public ModelParameters Parameters { get; }

    public Transformer Model { get; }

    public WeightSparsity Sparsity { get; }

    public AdamW Optimizer { get; }

    /// <summary>The loss on batches of the training shape.</summary>
    public LanguageModelLoss Loss { get; }

    /// <summary>Draws the initial weights; where the budget does not fall from dense, makes them sparse at once (official script).</summary>
    public void Initialise()
    {
        Parameters.Initialise(Config.Seed);
        Sparsity.ApplyAtStart();
    }

    /// <summary>Loss before the update, and the root mean square of the gradient.</summary>
    /// <param name="step">0-based.</param>
    /// <param name="tokens">[B,T].</param>
    /// <exception cref="NumericalException">The loss or a gradient is not finite; nothing was changed.</exception>
    public (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
    {
        double loss = Loss.Evaluate(tokens, withGradient: true);
        if (!double.IsFinite(loss))
        {
            throw new NumericalException($"step {step}: the training loss is {loss}.{FirstNonFinite(parameter => parameter.Value, "weight")}");
        }

        Loss.Backward(_backward);
        double rms = Optimizer.GradientRms();
        if (!double.IsFinite(rms))
        {
            throw new NumericalException($"step {step}: the gradient is not finite.{FirstNonFinite(parameter => parameter.Gradient, "gradient")}");
        }

        Optimizer.Step(step, rms);
        return (loss, rms);
    }

    public void Dispose()
    {
        Loss.Dispose();
        _backward.Dispose();
        Optimizer.Dispose();
        Parameters.Dispose();
    }

    private string FirstNonFinite(Func<Parameter, WeightTensor?> tensorOf, string what)
    {
        foreach (Parameter parameter in Parameters.All)
        {
            if (tensorOf(parameter) is not { } tensor)
            {
                continue;
            }

            var values = new float[tensor.Length];
            _engine.Read(tensor, values);
            int index = Array.FindIndex(values, value => !float.IsFinite(value));
            if (index >= 0)
            {
                return $" First: the {what} of {parameter.Spec.Name}, entry {index}, is {values[index]}.";
            }
        }

        return $" Every {what} is finite; an activation overflowed.";
    }
}
