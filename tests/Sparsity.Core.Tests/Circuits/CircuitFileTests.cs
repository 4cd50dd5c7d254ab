using System.Xml.Linq;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Circuits;

public class CircuitFileTests
{
    internal static readonly Circuit Example = new()
    {
        Task = "quotes \"and\" <more>",
        Model = "runs/x",
        ModelFingerprint = "00ff",
        KCoef = 0.001,
        TotalNodes = 22,
        TotalEdges = 11,
        Measurements = new CircuitMeasurements(0.1, 0.12, 0.11, 0.9, 1.5, 0.98, 0.99, 0.118),
        Calibration = new CalibrationResult(1.5, -0.25, 0.12, 0.11),
        Settings = new PruningConfig(),
        Nodes =
        [
            new CircuitNode(Node.Parse("0.attn.act_in.2"), 0.5, 1e-7, null),
            new CircuitNode(Node.Parse("0.attn.v.0"), 0.25, -0.125, 0.0625),
        ],
        Edges = [new CircuitEdge(Node.Parse("0.attn.act_in.2"), Node.Parse("0.attn.v.0"), -0.1f, 0.0625)],
    };

    [Fact]
    public void AFileReadAgainIsTheSameText()
    {
        using var folder = new TemporaryFolder();
        string text = JsonText.Write(Example);
        File.WriteAllText(folder["circuit.json"], text);
        Assert.Equal(text, JsonText.Write(Circuit.Load(folder["circuit.json"])));
    }

    [Theory]
    [InlineData(0.1, 0.12, 0.118, true, "")]
    [InlineData(0.1, 0.609, 0.118, false, "missed on test prompts")]
    [InlineData(0.1, 0.12, 0.121, false, "missed on the prompts it was chosen on")] // above 0.8 of the target
    [InlineData(0.1, 0.609, 0.3, false, "missed")]
    [InlineData(0.151, 0.12, 0.118, false, "the whole model misses the target")]
    [InlineData(double.NaN, 0.12, 0.118, false, "the whole model misses the target")]
    public void ACircuitIsSolvedWhereItAndTheModelMeetTheTarget(
        double model,
        double test,
        double selection,
        bool solved,
        string shortcoming
    )
    {
        Circuit circuit = Example with
        {
            Measurements = Example.Measurements with { LossFullModel = model, Loss = test, SelectionLoss = selection },
        };

        Assert.Equal((solved, shortcoming), (circuit.Solved, circuit.Shortcoming));
    }

    [Fact]
    public void TheFileSaysWhetherItIsSolvedAndIsNotBelieved()
    {
        using var folder = new TemporaryFolder();
        string text = JsonText.Write(Example);
        Assert.Contains("\"solved\": true", text, StringComparison.Ordinal);
        File.WriteAllText(
            folder["circuit.json"],
            text.Replace("\"solved\": true", "\"meets_target\": true, \"solved\": true", StringComparison.Ordinal)
                .Replace("\"loss\": 0.12", "\"loss\": 0.609", StringComparison.Ordinal)
        );

        Circuit read = Circuit.Load(folder["circuit.json"]);

        Assert.Equal(0.609, read.Measurements.Loss);
        Assert.False(read.Solved);
    }

    [Theory]
    [InlineData("\"format_version\": 1", "\"format_version\": 2", "newer")]
    [InlineData("\"nodes\"", "\"knots\"", "knots")]
    [InlineData("\"edges\": [", "\"edges\": [[", "JSON")]
    [InlineData("\"task\"", "\"task\": \"x\", \"task\"", "JSON")]
    public void DamageIsOneClearLine(string old, string replacement, string named)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["circuit.json"], JsonText.Write(Example).Replace(old, replacement, StringComparison.Ordinal));
        var failure = Assert.Throws<BadInputException>(() => Circuit.Load(folder["circuit.json"]));
        Assert.Contains(named, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Fact]
    public void ExportsHoldEveryNodeAndEdge()
    {
        Assert.Equal("from,to,weight,effect\n0.attn.act_in.2,0.attn.v.0,-0.10000000149011612,0.0625\n", CircuitExport.Csv(Example));
        Assert.Equal(
            "from,to,weight,effect\n0.attn.act_in.2,0.attn.v.0,-0.10000000149011612,\n",
            CircuitExport.Csv(Example with { Edges = [Example.Edges[0] with { Effect = null }] })
        );
        XElement graph = XDocument.Parse(CircuitExport.GraphMl(Example)).Root!.Elements().Last();
        Assert.Equal(
            ["0.attn.act_in.2", "0.attn.v.0"],
            graph.Elements().Where(e => e.Name.LocalName == "node").Select(e => e.Attribute("id")!.Value)
        );
        Assert.Equal("0.attn.v.0", graph.Elements().Single(e => e.Name.LocalName == "edge").Attribute("target")!.Value);
        Assert.Contains("digraph \"quotes \\\"and\\\" <more>\"", CircuitExport.Dot(Example), StringComparison.Ordinal);
        Assert.Contains("\"0.attn.act_in.2\" -> \"0.attn.v.0\"", CircuitExport.Dot(Example), StringComparison.Ordinal);
    }

    [Fact]
    public void OverlapIsWhatBothHave()
    {
        Circuit other = Example with { Nodes = [Example.Nodes[1], new CircuitNode(Node.Parse("0.attn.q.1"), 0, 0, 0)], Edges = [] };
        CircuitOverlap overlap = CircuitOverlap.Of(Example, other);
        Assert.Equal([Node.Parse("0.attn.v.0")], overlap.Nodes);
        Assert.Empty(overlap.Edges);
    }
}
