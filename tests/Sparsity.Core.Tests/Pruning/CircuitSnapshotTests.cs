using System.Globalization;
using System.Text;
using Sparsity.Core.Circuits;
using Sparsity.Core.Corpora;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;
using VerifyXunit;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>
/// Circuits of the trained model in tests/assets. A change of the pruning, the tasks or the engines that changes them shows as a difference
/// of text.
/// </summary>
public class CircuitSnapshotTests
{
    private const int ContextTokens = 64;

    private static readonly PruningConfig Config = new()
    {
        Steps = 100,
        KCoef = [2e-3],
        SelectionPairs = 48,
        TestPairs = 48,
        MeanBatches = 4,
        RandomCircuits = 1,
    };

    /// <summary>For engines that check every access: short prompts, and no node measured by itself, which is not compared.</summary>
    private static readonly PruningConfig Quick = Config with
    {
        Steps = 25,
        BatchPairs = 4,
        MaxTokens = 40,
        DistractorLines = 0,
        SelectionPairs = 4,
        TestPairs = 4,
        RandomCircuits = 0,
        NodeDetails = false,
        MeanBatches = 1,
    };

    /// <summary>Of the first engine, by task.</summary>
    private static readonly Dictionary<string, Lazy<string>> QuickCircuits = new[]
    {
        "single_double_quote",
        "for_while",
        "while_return_true",
    }.ToDictionary(task => task, task => new Lazy<string>(() => Found(task, Engines.Names[0], Quick)));

    /// <summary>Every other engine with every task; the engine under the checker, which takes a minute for each, with one.</summary>
    public static TheoryData<string, string> OtherEngines
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string engine in Engines.Names.Skip(1))
            {
                bool isSlow = engine == TestGpus.Checker;
                foreach (string task in QuickCircuits.Keys.Take(isSlow ? 1 : QuickCircuits.Count))
                {
                    data.Add(engine, task);
                }
            }

            return data;
        }
    }

    internal static readonly string Folder = Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128");

    [Fact]
    public async Task Quote() => await Verifier.Verify(Found("single_double_quote", Engines.Names[0]));

    [Fact]
    public async Task ForWhile() => await Verifier.Verify(Found("for_while", Engines.Names[0]));

    [Fact]
    public async Task Lambda() => await Verifier.Verify(Found("lambda_func", Engines.Names[0]));

    /// <summary>The snapshots are those of the first engine; the others find the same circuit as it does, here with fewer steps.</summary>
    [Theory]
    [MemberData(nameof(OtherEngines))]
    public void EveryEngineFindsTheSameCircuit(string engine, string task) =>
        Assert.Equal(QuickCircuits[task].Value, Found(task, engine, Quick));

    [Fact]
    public void TakingANodeOutByHandCostsItsEffect()
    {
        using IComputeEngine engine = Engines.Create(Engines.Names[0]);
        using ModelParameters parameters = new RunFolder(Folder).ReadModel(engine);
        using TaskPruning pruning = Posed(
            parameters,
            "single_double_quote",
            Config with
            {
                SelectionPairs = 16,
                TestPairs = 16,
                MeanBatches = 1,
            }
        );
        Circuit whole = pruning.Find().Circuit;
        ILookup<Node, CircuitEdge> outgoing = whole.Edges.ToLookup(edge => edge.From);
        CircuitNode removed = whole
            .Nodes.Where(node => whole.Edges.Any(edge => edge.To == node.Node && outgoing[edge.From].Count() == 1))
            .MaxBy(node => node.AblationEffect)!;
        CircuitEdge feeding = whole.Edges.First(edge => edge.To == removed.Node && outgoing[edge.From].Count() == 1);

        Circuit edited = pruning.WithoutNodes(whole, [removed.Node]).Circuit;

        Assert.True(removed.AblationEffect > 0.05, $"The effect of {removed.Name} is {removed.AblationEffect}.");
        // What fed only it goes too. That changes little: frozen nodes are replaced, but still compete for places among AbsTopK's largest.
        Assert.Equal(whole.Measurements.Loss + removed.AblationEffect!.Value, edited.Measurements.Loss, 1e-3);
        Assert.Equal([removed.Node], edited.RemovedByHand);
        Assert.DoesNotContain(feeding.From.Name, edited.Nodes.Select(node => node.Name)); // it fed only that node
    }

    private static string Found(string task, string engineName, PruningConfig? other = null)
    {
        PruningConfig config = other ?? Config;
        using IComputeEngine engine = Engines.Create(engineName);
        using ModelParameters parameters = new RunFolder(Folder).ReadModel(engine);
        using TaskPruning pruning = Posed(parameters, task, config);
        using var search = new CircuitSearch(pruning.Evaluator);
        ChosenNodes chosen = search.Choose(search.TrainMasks(pruning.Prompts.Training), pruning.Prompts.Selection, config.TargetLoss);
        return Text(pruning.Describe(chosen, config.TargetLoss).Circuit);
    }

    private static TaskPruning Posed(ModelParameters parameters, string task, PruningConfig config) =>
        TaskPruning.Create(Subject(parameters), TaskCatalogue.Find(task), config);

    internal static PruningSubject Subject(ModelParameters parameters)
    {
        BytePairTokenizer tokenizer = BytePairTokenizer.Load(Path.Combine(Folder, "tokenizer"));
        ushort[] text =
        [
            .. SyntheticPython.Documents(1, 100_000).SelectMany(document => tokenizer.Encode(document.Text)).Select(token => (ushort)token),
        ];
        return new PruningSubject("sparse-2x128", new Transformer(parameters), tokenizer, text, ContextTokens);
    }

    /// <summary>Weights come from the file; losses are rounded to what no order of summation changes.</summary>
    private static string Text(Circuit circuit)
    {
        CircuitMeasurements m = circuit.Measurements;
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{circuit.Task}: {circuit.Nodes.Count} nodes, {circuit.Edges.Count} edges, "
                + $"{(circuit.Solved == true ? "meets" : "misses")} {circuit.SearchSettings.TargetLoss}\n"
        );
        text.Append(
            CultureInfo.InvariantCulture,
            $"loss {m.Loss:0.00}, full model {m.LossFullModel:0.00}, without the circuit {m.LossWithoutCircuit:0.00}, empty "
                + $"{m.LossEmpty:0.00}\n"
        );
        foreach (CircuitNode node in circuit.Nodes)
        {
            text.Append($"{node.Name} {string.Join(' ', (node.Tokens ?? []).Select(token => token.Token))}".TrimEnd()).Append('\n');
        }

        foreach (CircuitEdge edge in circuit.Edges)
        {
            text.Append(CultureInfo.InvariantCulture, $"{edge.From} > {edge.To} {edge.Weight:0.0000}\n");
        }

        return text.ToString();
    }
}
