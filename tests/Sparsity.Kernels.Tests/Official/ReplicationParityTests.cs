using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>
/// Activations, logits, losses and gradients of the public replication's models, tensor by tensor, and its masked model where that is the
/// same computation as ours.
/// </summary>
[Trait("Category", "OfficialParity")]
public class ReplicationParityTests
{
    /// <summary>What the fixtures hold besides, and why it is not compared.</summary>
    private static readonly (string Prefix, string Reason)[] NotCompared =
    [
        ("tokens", "input"),
        ("targets_with_ignored", "input"),
        ("prune/", "MaskedModelAgrees"),
        ("sparsify/", "its choice of weights keeps a minimum per row of every matrix, which this program has no option for"),
    ];

    /// <summary>
    /// Its masked model with frozen norms takes their scales from a pass without AbsTopK, and with another epsilon than the model has:
    /// docs/official.md.
    /// </summary>
    private static readonly string[] SameComputation = ["zero", "mean"];

    private static readonly Dictionary<SiteKind, string> LocationNames = new()
    {
        [SiteKind.AttnActIn] = "attn_in",
        [SiteKind.AttnQ] = "attn_q",
        [SiteKind.AttnK] = "attn_k",
        [SiteKind.AttnV] = "attn_v",
        [SiteKind.AttnResidDelta] = "attn_out",
        [SiteKind.MlpActIn] = "mlp_in",
        [SiteKind.MlpPostAct] = "mlp_neuron",
        [SiteKind.MlpResidDelta] = "mlp_out",
    };

    public static TheoryData<string, string> Folders => Engines.SlowToo("r1_public_sinks_abstopk8", OfficialFolders.Of("replication"));

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryTensorAgrees(string engineName, string folder)
    {
        OfficialFixture fixture = OfficialFolders.Open(folder);
        using IComputeEngine engine = Engines.Create(engineName);
        using var pass = new OfficialPass(engine, folder, fixture.Shape("tokens"));
        ModelConfig config = pass.Parameters.Config;
        int length = fixture.Shape("tokens")[1];
        pass.Forward(fixture.Integers("tokens"));
        float[] logits = pass.Logits();
        float loss = pass.MeanLoss(OfficialPass.NextTokens(fixture.Integers("tokens"), length), withGradient: true);
        pass.Backward();
        Dictionary<string, Parameter> byTheirName = pass.Parameters.All.ToDictionary(parameter => TheirName(parameter.Spec.Name));

        foreach (
            string name in fixture.TensorNames.Where(name =>
                !NotCompared.Any(entry => name.StartsWith(entry.Prefix, StringComparison.Ordinal))
            )
        )
        {
            string after = name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..];
            float[]? actual = name[..^after.Length] switch
            {
                "" when name == "logits" => logits,
                "" when name == "loss" => [loss],
                "" when name == "loss_with_ignored_targets" => null,
                "hook/" => pass.Recorder.Activations[Site.Parse(after, config)],
                "hookgrad/" => pass.Recorder.Gradients[Site.Parse(after, config)],
                "grad/" => Values(engine, byTheirName[after].Gradient!),
                _ => throw new InvalidDataException($"{folder}: tensor {name} is of no kind that is understood."),
            };
            if (actual is not null)
            {
                fixture.RequireClose(name, actual);
            }
        }

        // The cross-entropy above left its gradient in the logits' place.
        pass.Forward(fixture.Integers("tokens"));
        int[] ignored =
        [
            .. OfficialPass.NextTokens(fixture.Integers("targets_with_ignored"), length).Select(target => Math.Max(target, -1)),
        ];
        fixture.RequireClose("loss_with_ignored_targets", [pass.MeanLoss(ignored)]);
        Assert.True(
            fixture.Contains("logits") && fixture.Contains("hook/" + new Site(config.NLayer, SiteKind.FinalResid)),
            $"{folder}: has next to nothing to compare."
        );
    }

    public static TheoryData<string, string> MaskedFolders =>
        Engines.SlowToo(
            "r1_public_sinks_abstopk8",
            [.. OfficialFolders.Of("replication").Where(folder => OfficialFolders.Open(folder).Contains("prune/zero/logits"))]
        );

    [Theory]
    [MemberData(nameof(MaskedFolders))]
    public void MaskedModelAgrees(string engineName, string folder)
    {
        OfficialFixture fixture = OfficialFolders.Open(folder);
        using IComputeEngine engine = Engines.Create(engineName);
        using var pass = new OfficialPass(engine, folder, fixture.Shape("tokens"), WithoutResidualTopK);
        var layout = new NodeLayout(pass.Parameters.Config);
        foreach (string kind in SameComputation.Where(kind => fixture.Contains($"prune/{kind}/logits")))
        {
            using var gates = new NodeGates(
                engine,
                layout,
                kind == "zero" ? new float[layout.Count] : OfNodes("prune/means_without_abstopk/")
            );
            float[] tau = OfNodes("prune/tau/");
            gates.SetMask([.. tau.Select(value => value >= 0 ? 1f : 0f)]);
            pass.AddHook(gates);
            pass.Forward(fixture.Integers("tokens"));
            float[] logits = pass.Logits();
            fixture.RequireClose($"prune/{kind}/logits", logits);
            (float binary, float full, float[] gradient) = Losses(logits);
            fixture.RequireClose($"prune/{kind}/loss_binary", [binary]);
            fixture.RequireClose($"prune/{kind}/loss_full", [full]);

            pass.SetLogitsGradient(gradient);
            pass.Backward();
            var maskGradient = new float[layout.Count];
            gates.TakeMaskGradient(maskGradient);
            for (int site = 0; site < layout.Sites.Count; site++)
            {
                float[] tauGradient = [.. Enumerable.Range(0, layout.Count).Select(i => maskGradient[i] * SigmoidDerivative(tau[i]))];
                fixture.RequireClose($"prune/{kind}/grad_tau_binary/{LocationOf(site)}", tauGradient[layout.RangeOf(site)]);
            }

            pass.RemoveHook(gates);
        }

        string LocationOf(int site) => $"layer{layout.Sites[site].Layer}_{LocationNames[layout.Sites[site].Kind]}";

        float[] OfNodes(string prefix) =>
            [.. Enumerable.Range(0, layout.Sites.Count).SelectMany(site => fixture.Floats(prefix + LocationOf(site)))];

        (float Binary, float Full, float[] Gradient) Losses(float[] logits)
        {
            int[] answers = fixture.Integers("prune/answers_right_wrong");
            int[] positions = fixture.Integers("prune/positions");
            int vocabulary = pass.Parameters.Config.VocabSize;
            var gradient = new float[logits.Length];
            double binary = 0;
            double full = 0;
            for (int i = 0; i < positions.Length; i++)
            {
                int start = ((i * fixture.Shape("tokens")[1]) + positions[i]) * vocabulary;
                (int right, int wrong) = (answers[2 * i], answers[(2 * i) + 1]);
                double difference = logits[start + right] - logits[start + wrong];
                binary += Math.Log(1 + Math.Exp(-difference)) / positions.Length;
                full +=
                    Math.Log(logits.AsSpan(start, vocabulary).ToArray().Sum(logit => Math.Exp(logit - logits[start + right])))
                    / positions.Length;
                gradient[start + wrong] = (float)(1 / (1 + Math.Exp(difference)) / positions.Length);
                gradient[start + right] = -gradient[start + wrong];
            }

            return ((float)binary, (float)full, gradient);
        }
    }

    /// <summary>The replication's masked model leaves out AbsTopK at resid_pre and resid_mid, which its model has.</summary>
    private static ModelConfig WithoutResidualTopK(ModelConfig config) =>
        config with
        {
            AfracLoctypes = string.Join(
                ',',
                config.AfracLoctypes.Split(',').Where(place => place is not ("resid_pre" or "resid_post_attn"))
            ),
        };

    private static float SigmoidDerivative(double tau)
    {
        double sigmoid = 1 / (1 + Math.Exp(-tau));
        return (float)(sigmoid * (1 - sigmoid));
    }

    private static string TheirName(string ours) =>
        ours.Replace("transformer.h.", "blocks.", StringComparison.Ordinal)
            .Replace("transformer.", "", StringComparison.Ordinal)
            .Replace("attn_imp", "attn_fn", StringComparison.Ordinal);

    private static float[] Values(IComputeEngine engine, WeightTensor tensor)
    {
        var values = new float[tensor.Length];
        engine.Read(tensor, values);
        return values;
    }
}
