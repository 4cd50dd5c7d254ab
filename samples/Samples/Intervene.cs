using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tracing;
using Sparsity.Kernels;

namespace Samples;

/// <summary>Changes single channels of a model and compares what it says then.</summary>
public static class Intervene
{
    /// <param name="folder">A run's folder, or one with a released model.</param>
    public static void Show(string folder, TextWriter output)
    {
        using IComputeEngine engine = EngineFactory.Create("auto");
        using OpenedRun run = Run.Open(folder, engine);
        int[] tokens = run.Tokenizer.Encode("x = 'a");
        using var interventions = new Interventions(engine, run.Model.Config);
        interventions.Scale(Site.Parse("1.attn.resid_delta", run.Model.Config), 0); // nothing of layer 1's attention

        ActivationTrace before = ActivationTrace.Run(run.Model, tokens);
        ActivationTrace after = ActivationTrace.Run(run.Model, tokens, interventions: interventions);

        int quote = run.Tokenizer.Encode("'").Single(), other = run.Tokenizer.Encode("\"").Single();
        output.WriteLine($"logit of ' over \": {Difference(before):0.000}, without the attention {Difference(after):0.000}");

        float Difference(ActivationTrace trace) => trace.LogitsAt(tokens.Length - 1)[quote] - trace.LogitsAt(tokens.Length - 1)[other];
    }
}
