using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tracing;
using Sparsity.Kernels;

namespace Samples;

/// <summary>Opens a model and reads what it computes for a text.</summary>
public static class ReadActivations
{
    /// <param name="folder">A run's folder, or one with a released model.</param>
    public static void Show(string folder, TextWriter output)
    {
        using IComputeEngine engine = EngineFactory.Create("auto");
        using OpenedRun run = Run.Open(folder, engine);
        int[] tokens = run.Tokenizer.Encode("def greet(name):\n    return \"hello\"\n");

        ActivationTrace trace = ActivationTrace.Run(run.Model, tokens);

        Site neurons = Site.Parse("1.mlp.post_act", run.Model.Config);
        float[] last = trace.ActivationsAt(neurons, position: tokens.Length - 1).ToArray();
        output.WriteLine($"{tokens.Length} tokens, loss {trace.Loss:0.000}");
        output.WriteLine(
            $"{neurons} at the last token: {last.Count(value => value != 0)} of {last.Length} are active, neuron "
                + $"{last.IndexOf(last.Max())} most"
        );
    }
}
