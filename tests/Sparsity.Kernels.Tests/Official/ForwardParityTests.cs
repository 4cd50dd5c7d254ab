using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>Activations, logits, losses and all gradients of the official models, tensor by tensor.</summary>
[Trait("Category", "OfficialParity")]
public class ForwardParityTests
{
    public static TheoryData<string, string> Folders => Engines.SlowToo("e_rms_sink_afrac8", OfficialFolders.Of("forward"));

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryTensorAgrees(string engineName, string folder)
    {
        OfficialFixture fixture = OfficialFolders.Open(folder);
        using IComputeEngine engine = Engines.Create(engineName);
        using var pass = new OfficialPass(engine, folder, fixture.Shape("tokens"));
        ModelConfig config = pass.Parameters.Config;
        pass.Forward(fixture.Integers("tokens"));
        float[] logits = pass.Logits();
        float loss = pass.MeanLoss(OfficialPass.NextTokens(fixture.Integers("tokens"), fixture.Shape("tokens")[1]), withGradient: true);
        pass.Backward();

        foreach (string name in fixture.TensorNames)
        {
            string after = name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..];
            float[]? actual = name[..^after.Length] switch
            {
                "" when name == "logits" => logits,
                "" when name == "loss" => [loss],
                "" when name is "tokens" or "targets_with_ignored" or "loss_with_ignored_targets" => null,
                "hook/" => pass.Recorder.Activations[Site.Parse(after, config)],
                "hookgrad/" => pass.Recorder.Gradients[Site.Parse(after, config)],
                "grad/" => Values(
                    engine,
                    pass.Parameters[after].Gradient ?? throw new InvalidDataException($"{folder}: {after} has no gradient here.")
                ),
                _ => throw new InvalidDataException($"{folder}: tensor {name} is of no kind that is understood."),
            };
            if (actual is not null)
            {
                fixture.RequireClose(name, actual);
            }
        }

        if (fixture.Contains("loss_with_ignored_targets"))
        {
            // The cross-entropy above left its gradient in the logits' place.
            pass.Forward(fixture.Integers("tokens"));
            fixture.RequireClose("loss_with_ignored_targets", [pass.MeanLoss(fixture.Integers("targets_with_ignored"))]);
        }

        Assert.True(
            fixture.Contains("logits") && fixture.Contains("hook/" + new Site(config.NLayer, SiteKind.FinalResid)),
            $"{folder}: has next to nothing to compare."
        );
    }

    private static float[] Values(IComputeEngine engine, WeightTensor tensor)
    {
        var values = new float[tensor.Length];
        engine.Read(tensor, values);
        return values;
    }
}
