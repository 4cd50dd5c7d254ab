using System.Text.Json;
using Sparsity.Core.Tensors;

namespace Sparsity.Cli.Tests;

public class TraceTests(SmallRun run) : IClassFixture<SmallRun>
{
    private static readonly string Released = Path.Combine(OfficialFixture.Root, "forward", "c_rms_afrac8_bigram");

    /// <summary>Activations, logits and gradients of the official code, through files on both sides.</summary>
    [Fact]
    public void AReleasedModelGivesTheOfficialNumbers()
    {
        OfficialFixture fixture = OfficialFixture.Open("forward/c_rms_afrac8_bigram/expected");
        int length = fixture.Shape("tokens")[1];
        string ids = run["ids.json"];
        File.WriteAllText(ids, JsonSerializer.Serialize(fixture.Integers("tokens").Chunk(length)));
        CommandLine.Succeed("trace", "--model", Released, "--ids", ids, "--grads", "--out", run["released"]);

        using TensorFile traced = Safetensors.Open(Path.Combine(run["released"], "trace.safetensors"));
        fixture.RequireClose("logits", traced.ByName["logits"].Floats());
        fixture.RequireClose("loss", traced.ByName["loss"].Floats());
        List<string> compared = ["tokens", "logits", "loss"];
        foreach (string name in fixture.TensorNames.Where(name => name.StartsWith("hook", StringComparison.Ordinal)))
        {
            StoredTensor tensor = traced.ByName[
                name.Replace("hookgrad/", "grad/", StringComparison.Ordinal).Replace("hook/", "", StringComparison.Ordinal)
            ];
            compared.Add(tensor.Name);
            Assert.Equal(fixture.Shape(name), tensor.Shape);
            fixture.RequireClose(name, tensor.Floats());
        }

        // The official code has no hook there.
        Assert.All(traced.Tensors.Select(tensor => tensor.Name).Except(compared), name => Assert.EndsWith(".mlp.pre_act", name));
    }

    [Fact]
    public void TextAndInterventions()
    {
        string Trace(string folder, params string[] flags)
        {
            CommandLine.Succeed(["trace", "--model", run.Model, "--text", "def f(x):\n    return x\n", "--out", run[folder], .. flags]);
            return Path.Combine(run[folder], "trace.safetensors");
        }

        using TensorFile plain = Safetensors.Open(Trace("plain", "--sites", "*.mlp.post_act"));
        Assert.Equal(["tokens", "logits", "loss", "0.mlp.post_act", "1.mlp.post_act"], plain.Tensors.Select(tensor => tensor.Name));
        using TensorFile changed = Safetensors.Open(
            Trace(
                "changed",
                "--sites",
                "0.mlp.post_act,1.attn.v,0.attn.resid_delta",
                "--set",
                "0.mlp.post_act:7=1.5",
                "0.mlp.post_act:8=-2",
                "--scale",
                "0.attn.resid_delta:*=0",
                "--mean-ablate",
                "1.attn.v:3"
            )
        );
        Assert.All(Channel(changed, "0.mlp.post_act", 7), value => Assert.Equal(1.5f, value));
        Assert.All(Channel(changed, "0.mlp.post_act", 8), value => Assert.Equal(-2f, value));
        Assert.All(changed.ByName["0.attn.resid_delta"].Floats().ToArray(), value => Assert.Equal(0f, value));
        float[] ablated = Channel(changed, "1.attn.v", 3);
        Assert.All(ablated, value => Assert.Equal(ablated[0], value));
        Assert.NotEqual(plain.ByName["logits"].Floats().ToArray(), changed.ByName["logits"].Floats().ToArray());

        static float[] Channel(TensorFile file, string name, int channel)
        {
            StoredTensor tensor = file.ByName[name];
            return [.. tensor.Floats().ToArray().Where((_, i) => i % tensor.Shape[^1] == channel)];
        }
    }

    [Theory]
    [InlineData("--text or --ids")]
    [InlineData("--ids", "--ids", "[1, 2")]
    [InlineData("--ids", "--ids", "[[1, 2], [3]]")]
    [InlineData("--ids", "--ids", "[null]")]
    [InlineData("token 5000", "--ids", "[5000]")]
    [InlineData("two tokens", "--ids", "[1]", "--grads")]
    [InlineData("4.attn.q", "--ids", "[1]", "--sites", "4.attn.q")]
    [InlineData("twice", "--ids", "[1]", "--set", "0.attn.q:1=1", "--scale", "0.attn.q:1=2")]
    [InlineData("resid_in", "--ids", "[1]", "--mean-ablate", "0.resid_in:1")]
    public void WhatCannotBeTraced(string expected, params string[] flags)
    {
        CommandResult result = CommandLine.Run(["trace", "--model", run.Model, "--out", run["nothing"], .. flags]);
        Assert.Equal(2, result.ExitCode);
        Assert.Single(result.Errors.TrimEnd().Split('\n'));
        Assert.Contains(expected, result.Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["nothing"]), "A refused trace left a folder.");
    }
}
