using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tracing;
using Sparsity.Kernels;

namespace Samples;

/// <summary>Takes out what attention writes, and compares what the model says then.</summary>
public static class Intervene
{
    /// <param name="folder">A run's folder, or one with a released model.</param>
    public static void Show(string folder, TextWriter output)
    {
        using IComputeEngine engine = EngineFactory.Create("auto");
        using OpenedRun run = Run.Open(folder, engine);
        int[] tokens = run.Tokenizer.Encode("print('a");
        using var interventions = new Interventions(engine, run.Model.Config);
        foreach (int layer in Enumerable.Range(0, run.Model.Config.NLayer))
        {
            interventions.Scale(new Site(layer, SiteKind.AttnResidDelta), 0); // nothing of what attention writes
        }

        ActivationTrace before = ActivationTrace.Run(run.Model, tokens);
        ActivationTrace after = ActivationTrace.Run(run.Model, tokens, interventions: interventions);

        int single = run.Tokenizer.Encode("')").Single(),
            twofold = run.Tokenizer.Encode("\")").Single();
        output.WriteLine($"logit of ') over \"): {Difference(before):0.000}, without the attention {Difference(after):0.000}");

        float Difference(ActivationTrace trace) => trace.LogitsAt(tokens.Length - 1)[single] - trace.LogitsAt(tokens.Length - 1)[twofold];
    }
}
