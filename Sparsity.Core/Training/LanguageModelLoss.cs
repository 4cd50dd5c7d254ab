using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>The mean next-token cross-entropy of a model on batches [B,T] of one shape, and its gradient.</summary>
internal sealed class LanguageModelLoss : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly ForwardState _forward;
    private readonly HeadState _head;
    private readonly int[] _targets;

    /// <param name="model">The model.</param>
    /// <param name="sequences">B.</param>
    /// <param name="contextTokens">T.</param>
    /// <param name="parts">Equal parts that make up a batch, of which this computes one at a time: gradients are of the mean over the whole
    /// batch.</param>
    public LanguageModelLoss(Transformer model, int sequences, int contextTokens, int parts = 1)
    {
        Model = model;
        _engine = model.Parameters.Engine;
        Sequences = sequences;
        ContextTokens = contextTokens;
        Parts = parts;
        _forward = model.CreateForwardState(sequences, contextTokens);
        _head = new HeadState(_engine, model.Config, sequences, contextTokens, _forward.TokenIds);
        _targets = new int[sequences * contextTokens];
    }

    public Transformer Model { get; }

    /// <summary>B.</summary>
    public int Sequences { get; }

    /// <summary>T.</summary>
    public int ContextTokens { get; }

    /// <summary>Parts of a batch.</summary>
    public int Parts { get; }

    /// <summary>The model's activations of the last batch.</summary>
    internal ForwardState Forward => _forward;

    /// <summary>Its logits, or their gradient.</summary>
    internal HeadState Head => _head;

    /// <summary>
    /// Mean loss in nats over the T-1 predicted positions of each sequence, as of the last <see cref="IComputeEngine.Fetch"/> of
    /// <see cref="Sum"/>.
    /// </summary>
    public double Mean => Sum[0] / Counted;

    /// <summary>The loss of all predicted positions together.</summary>
    public ScalarTensor Sum => _head.LossSum;

    private int Counted => Sequences * (ContextTokens - 1);

    /// <summary>Mean loss of a batch; waits for the device.</summary>
    /// <param name="tokens">[B,T].</param>
    public double Evaluate(ReadOnlySpan<int> tokens)
    {
        Run(tokens);
        _engine.Fetch(Sum);
        return Mean;
    }

    /// <summary>Runs the model on a batch and leaves its loss in <see cref="Sum"/>.</summary>
    /// <param name="tokens">[B,T].</param>
    /// <param name="withGradient">Whether <see cref="Backward"/> follows.</param>
    public void Run(ReadOnlySpan<int> tokens, bool withGradient = false)
    {
        Load(tokens);
        Model.Forward(_forward);
        Model.Head.Forward(_forward.FinalResidual, _head);
        _head.CrossEntropy(Parts * Counted, withGradient);
    }

    /// <summary>Writes a batch's tokens [B,T] and what follows each.</summary>
    internal void Load(ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < _targets.Length; i++)
        {
            _targets[i] = i % ContextTokens == ContextTokens - 1 ? -1 : tokens[i + 1];
        }

        _engine.Write(_forward.TokenIds, tokens);
        _engine.Write(_head.Targets, _targets);
    }

    /// <summary>Mean loss of the logits that are there; waits for the device.</summary>
    internal double CrossEntropy()
    {
        _head.CrossEntropy(Counted, withGradient: false);
        return _head.ReadLossSum() / Counted;
    }

    /// <summary>Accumulates the gradients of the last <see cref="Run"/> into the parameters'.</summary>
    /// <param name="finished">As for <see cref="Transformer.Backward"/>, and with 2L after the head.</param>
    public void Backward(BackwardState gradients, Action<int>? finished = null)
    {
        Model.Head.Backward(_forward.FinalResidual, _head, gradients.Residual);
        finished?.Invoke(Model.Sublayers);
        Model.Backward(_forward, gradients, finished);
    }

    /// <summary>Mean loss over the first <paramref name="batches"/> batches of consecutive windows.</summary>
    public double MeanOver(BatchSource source, int batches)
    {
        double sum = 0;
        for (int i = 0; i < batches; i++)
        {
            sum += Evaluate(source.Consecutive(i));
        }

        return sum / batches;
    }

    /// <summary>
    /// Kurtosis of the last batch's final residual: the mean over channels of E[(x - mu)^4] / sigma^4 over tokens; 3 for a normal
    /// distribution. The paper's figure 10 shows it rising with sparsity.
    /// </summary>
    public double FinalResidualKurtosis()
    {
        int channels = Model.Config.DModel;
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
        _forward.Dispose();
    }
}
