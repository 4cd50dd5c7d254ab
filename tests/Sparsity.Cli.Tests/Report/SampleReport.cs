using System.Xml.Linq;
using Sparsity.Cli.Report;
using Sparsity.Cli.Viewer;
using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Tests.Report;

/// <summary>Invented data in the shape of a demo's.</summary>
internal static class SampleReport
{
    private static readonly (SiteKind From, SiteKind To)[] Matrices =
    [
        (SiteKind.AttnActIn, SiteKind.AttnQ),
        (SiteKind.AttnActIn, SiteKind.AttnK),
        (SiteKind.AttnActIn, SiteKind.AttnV),
        (SiteKind.AttnV, SiteKind.AttnResidDelta),
        (SiteKind.MlpActIn, SiteKind.MlpPostAct),
        (SiteKind.MlpPostAct, SiteKind.MlpResidDelta),
    ];

    /// <summary>
    /// A circuit with <paramref name="perLocation"/> nodes at each location of each layer, and up to three edges out of each.
    /// </summary>
    public static Circuit Circuit(string task, int perLocation, int layers = 2, double loss = 0.11, int edgesPerNode = 3, int channels = 16)
    {
        var random = new Random(task.Length + perLocation);
        channels = Math.Max(channels, perLocation + 4);
        var nodes = new Dictionary<Site, Node[]>();
        foreach (int layer in Enumerable.Range(0, layers))
        {
            foreach (SiteKind kind in SiteKinds.NodeLocations.SkipLast(1)) // without final_resid
            {
                int count = Math.Max(1, perLocation - random.Next(2));
                nodes[new Site(layer, kind)] =
                [
                    .. Enumerable
                        .Range(0, channels)
                        .OrderBy(_ => random.Next())
                        .Take(count)
                        .Order()
                        .Select(channel => new Node(new Site(layer, kind), channel)),
                ];
            }
        }

        var edges = new List<CircuitEdge>();
        foreach (int layer in Enumerable.Range(0, layers))
        {
            foreach ((SiteKind from, SiteKind to) in Matrices)
            {
                foreach (Node source in nodes[new Site(layer, from)])
                {
                    edges.AddRange(
                        nodes[new Site(layer, to)]
                            .OrderBy(_ => random.Next())
                            .Take(edgesPerNode)
                            .Select(target => new CircuitEdge(source, target, random.NextDouble() - 0.5))
                    );
                }
            }
        }

        return new Circuit
        {
            Task = task,
            Model = "runs/sample",
            ModelFingerprint = "0",
            KCoef = 1e-3,
            TotalNodes = 5000,
            TotalEdges = 12345,
            Measurements = new CircuitMeasurements(0.021, loss, loss - 0.01, 1.87, 0.71, 0.97, 0.995, loss),
            Calibration = new CalibrationResult(1, 0, loss, loss),
            Settings = new PruningConfig(),
            Nodes =
            [
                .. nodes
                    .Values.SelectMany(group => group)
                    .Select((node, i) => new CircuitNode(node, 0.5, -0.25, i % 2 == 0 ? 0.125 : null)),
            ],
            Edges = edges,
        };
    }

    /// <summary>A doubtful one: the search found fewer edges for inverted answers.</summary>
    public static Faithfulness Faithfulness(Circuit circuit)
    {
        FaithfulnessCheck[] checks =
        [
            new("does the whole model do the task", true, "loss 0.020, target 0.3"),
            new("does the circuit do the task", true, "loss 0.110, target 0.3"),
            new("does the model need it", true, "loss without it 1.870, should be 0.6 or more"),
            new("do mixtures of both work", true, "the loss rises by 0.230, should be 0.3 or less; 9 of 10 orders stay below 0.250"),
            new("does nonsense take more edges", false, "inverted answers 90 against 95 edges"),
        ];
        return new Faithfulness
        {
            Task = circuit.Task,
            Model = circuit.Model,
            TargetLoss = 0.3,
            Nodes = circuit.Nodes.Count,
            Edges = circuit.Edges.Count,
            Circuit = circuit.Measurements,
            Divergence = 0.07,
            Controls =
            [
                new ControlSearch("inverted answers", true, 80, 90, 0.28, 0.9, 0.947),
                new ControlSearch("random weights", false, 50, 40, 0.69, 0.7, 0.421),
            ],
            Baselines = [new ControlSearch("attribution", true, 60, 77, 0.21, 0.1, 0.811)],
            Interchange = new InterchangeCurves(
                [new(0, 0.11, 0.11), new(0.25, 0.2, 0.21), new(0.5, 0.34, 0.36), new(0.75, 0.25, 0.26), new(1, 0.05, 0.05)],
                [new(0, 0.02, 0.02), new(0.25, 0.03, 0.03), new(0.5, 0.06, 0.07), new(0.75, 0.08, 0.1), new(1, 0.11, 0.11)]
            ),
            PartialAblation = new PartialAblation(0.06, 0.09, 0.05, 0.14, Node.Parse("0.mlp.post_act.3"), 0.04, 2.5, 2.7, 1.4),
            LossOtherAblation = 0.15,
            Checks = checks,
            IsReal = false,
            Verdict = "doubtful: does nonsense take more edges? no (inverted answers 90 against 95 edges)",
        };
    }

    /// <summary>Twice as probable at the last strength along the nodes, 1.1 times along random directions.</summary>
    public static SteeringResult Steering() =>
        new(
            [new SteeredNode(Node.Parse("0.attn.act_in.12"), 0.5, 0.07, 0.3)],
            64,
            16,
            1,
            [
                new(0, new(0.1, 0.8), new(0.1, 0.8), new(0.1, 0.8), 0.1, 0.1),
                new(1, new(0.15, 0.7), new(0.3, 0.5), new(0.1, 0.78), 0.08, 0.13),
                new(2, new(0.2, 0.6), new(0.6, 0.2), new(0.11, 0.75), 0.06, 0.17),
            ]
        );

    public static TrainingCurve Curve(string model, int lines = 300) =>
        new(
            model,
            [
                .. Enumerable
                    .Range(0, lines)
                    .Select(i => new TrainingMetrics
                    {
                        Step = i * 10,
                        Tokens = i * 40960L,
                        Loss = (model == DemoCircuit.Sparse ? 2.2 : 2.0) + (3 * Math.Exp(-i / 40.0)) + (0.1 * Math.Sin(i * 1.7)),
                        LearningRate = 1e-3 * Math.Min(1, i / 30.0) * (1 - (i / (double)lines)),
                        Pfrac = model == DemoCircuit.Sparse ? Math.Pow(0.03, Math.Min(1, i / (lines / 2.0))) : null,
                        GradientRms = 1,
                        TokensPerSecond = 9000,
                        ValidationLoss = i % 25 == 24 ? (model == DemoCircuit.Sparse ? 2.25 : 2.05) + (3 * Math.Exp(-i / 40.0)) : null,
                        Statistics =
                            i % 25 == 24
                                ? new ModelStatistics(
                                    1,
                                    1,
                                    model == DemoCircuit.Sparse ? Math.Pow(0.03, Math.Min(1, i / (lines / 2.0))) : 1,
                                    [1]
                                )
                                : null,
                    }),
            ]
        );

    public static DemoSummary Summary(IEnumerable<ReportCircuit> circuits, double? denseLoss = 2.05) =>
        new(
            183.4,
            41234.5,
            12288000,
            2.25,
            3.1,
            0.031,
            denseLoss,
            [.. circuits.Select(entry => DemoCircuit.Of(entry.Model, entry.Circuit))]
        );

    /// <summary>A circuit as it is shown where its model is not known.</summary>
    public static ReportCircuit Shown(string model, Circuit circuit) => new(model, new CircuitDocument(circuit, [], null, null, null));

    public static string Page(params ReportCircuit[] circuits) =>
        ReportPage.Render(Summary(circuits), [Curve(DemoCircuit.Sparse), Curve(DemoCircuit.Dense)], circuits);

    /// <summary>The text, tables and data of a report, which are XML too.</summary>
    public static XElement Read(string page) =>
        XElement.Parse(
            page[page.IndexOf("<main>", StringComparison.Ordinal)..(page.IndexOf("</main>", StringComparison.Ordinal) + "</main>".Length)]
        );
}
