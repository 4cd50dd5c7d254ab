using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>A model in training: its parameters with gradients and moments, and the step of spec section 2 on a given batch.</summary>
public sealed class Trainer : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly ForwardState _forward;
    private readonly BackwardState _backward;
    private readonly HeadState _head;
    private readonly int[] _targets;

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
        Optimizer = new AdamW(Parameters, training, Sparsity);
        Model = new Transformer(Parameters);
        _forward = Model.CreateForwardState(training.BatchSequences, training.ContextTokens);
        _backward = Model.CreateBackwardState(training.BatchSequences, training.ContextTokens);
        _head = new HeadState(engine, model, training.BatchSequences, training.ContextTokens, _forward.TokenIds);
        _targets = new int[training.BatchSequences * training.ContextTokens];
    }

    public TrainingConfig Config { get; }

    public ModelParameters Parameters { get; }

    public Transformer Model { get; }

    public WeightSparsity Sparsity { get; }

    public AdamW Optimizer { get; }

    /// <summary>Draws the initial weights; where the budget does not fall from dense, makes them sparse at once (official script).</summary>
    public void Initialise()
    {
        Parameters.Initialise(Config.Seed);
        if (!Config.PfracAnneal)
        {
            Sparsity.Apply(0);
        }
    }

    /// <summary>Loss before the update, and the root mean square of the gradient.</summary>
    /// <param name="step">0-based.</param>
    /// <param name="tokens">[B,T].</param>
    /// <exception cref="NumericalException">The loss or a gradient is not finite; nothing was changed.</exception>
    public (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
    {
        double loss = Evaluate(tokens, withGradient: true);
        if (!double.IsFinite(loss))
        {
            throw new NumericalException($"step {step}: the training loss is {loss}.{FirstNonFinite(parameter => parameter.Value, "weight")}");
        }

        Model.Head.Backward(_forward.FinalResidual, _head, _backward.Residual);
        Model.Backward(_forward, _backward);
        double rms = Optimizer.GradientRms();
        if (!double.IsFinite(rms))
        {
            throw new NumericalException($"step {step}: the gradient is not finite.{FirstNonFinite(parameter => parameter.Gradient, "gradient")}");
        }

        Optimizer.Step(step, rms);
        return (loss, rms);
    }

    /// <summary>Mean next-token cross-entropy over the T-1 predicted positions of each sequence of one batch.</summary>
    /// <param name="tokens">[B,T].</param>
    public double Loss(ReadOnlySpan<int> tokens) => Evaluate(tokens, withGradient: false);

    /// <summary>
    /// Kurtosis of the last batch's final residual: the mean over channels of E[(x - mu)^4] / sigma^4 over tokens; 3 for a normal distribution.
    /// The paper's figure 10 shows it rising with sparsity.
    /// </summary>
    public double FinalResidualKurtosis()
    {
        int channels = Parameters.Config.DModel;
        var values = new float[_forward.FinalResidual.Length];
        _engine.Read(_forward.FinalResidual, values);
        int tokens = values.Length / channels;
        double sum = 0;
        int counted = 0;
        for (int channel = 0; channel < channels; channel++)
        {
            double mean = 0;
            for (int t = 0; t < tokens; t++)
            {
                mean += values[(t * channels) + channel];
            }

            mean /= tokens;
            double second = 0;
            double fourth = 0;
            for (int t = 0; t < tokens; t++)
            {
                double square = Math.Pow(values[(t * channels) + channel] - mean, 2);
                second += square;
                fourth += square * square;
            }

            if (second > 0)
            {
                // A channel that nothing writes has no kurtosis.
                sum += fourth / tokens / Math.Pow(second / tokens, 2);
                counted++;
            }
        }

        return counted == 0 ? 0 : sum / counted;
    }

    public void Dispose()
    {
        _head.Dispose();
        _backward.Dispose();
        _forward.Dispose();
        Optimizer.Dispose();
        Parameters.Dispose();
    }

    private double Evaluate(ReadOnlySpan<int> tokens, bool withGradient)
    {
        int length = Config.ContextTokens;
        for (int i = 0; i < _targets.Length; i++)
        {
            _targets[i] = i % length == length - 1 ? -1 : tokens[i + 1];
        }

        _engine.Write(_forward.TokenIds, tokens);
        _engine.Write(_head.Targets, _targets);
        Model.Forward(_forward);
        Model.Head.Forward(_forward.FinalResidual, _head);
        int counted = Config.BatchSequences * (length - 1);
        _head.CrossEntropy(counted, withGradient);
        return _head.ReadLossSum() / counted;
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
