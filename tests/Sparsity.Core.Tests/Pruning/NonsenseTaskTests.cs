using System.Text.Json;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>
/// Tasks that no model was trained for: prompts of the program's own tasks with other answers, always the same ones, so that a search has
/// something to fit. Their files are in tests/assets/nonsense; no circuit of theirs may be called real.
/// </summary>
public class NonsenseTaskTests
{
    private const int TrainPairs = 128;
    private const int TestPairs = 64;
    private const int MostCharacters = 120; // at most 64 tokens

    /// <summary>The task whose prompts are taken, and the answers; where these are null, right and wrong exchanged.</summary>
    private static readonly Dictionary<string, (string Task, string? A, string? B)> Nonsense = new()
    {
        ["while_return_true_inverted"] = ("while_return_true", null, null),
        ["bracket_brace_inverted"] = ("bracket_brace", null, null),
        ["single_double_quote_inverted"] = ("single_double_quote", null, null),
        ["indent_for_inverted"] = ("indent_for", null, null),
        ["for_in_while_if"] = ("for_while", " in", " if"),
        ["bracket_in_if"] = ("bracket_counting", " in", " if"),
        ["var_if_comma_bracket"] = ("var_if", ",", ")"),
        ["lambda_func_return_for"] = ("lambda_func", " return", " for"),
    };

    private static readonly string Folder = Path.Combine(CircuitSnapshotTests.Folder, "..", "nonsense");

    public static TheoryData<string> Names => [.. Nonsense.Keys];

    /// <summary>The files are made by this test where SPARSITY_WRITE_ASSETS is set.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void TheFileIsMadeAsItSays(string name)
    {
        (string task, string? a, string? b) = Nonsense[name];
        PromptTask own = TaskCatalogue.Find(task);
        string made = JsonSerializer.Serialize(
            new
            {
                format_version = 1,
                name,
                description = a is null
                    ? $"nonsense: the prompts of {task}, right and wrong exchanged"
                    : $"nonsense: the prompts of {task}, with '{a}' and '{b}' for answers",
                train = Pairs(TaskSplit.Train, TrainPairs),
                test = Pairs(TaskSplit.Test, TestPairs),
            }
        );
        string path = Path.Combine(Folder, name + ".json");
        if (Environment.GetEnvironmentVariable("SPARSITY_WRITE_ASSETS") is not null)
        {
            File.WriteAllText(path, made + "\n");
        }

        Assert.Equal(made, File.ReadAllText(path).TrimEnd());

        object[] Pairs(TaskSplit split, int count) =>
            [
                .. Enumerable
                    .Range(0, 8 * count)
                    .Select(i => own.Draw(split, RandomSource.For(1, $"{name} {split}", i), distractorLines: 0))
                    .Where(pair => Math.Max(pair.First.Length, pair.Second.Length) <= MostCharacters)
                    .Take(count)
                    .Select(pair => new
                    {
                        first = pair.First,
                        second = pair.Second,
                        answer_a = a ?? pair.AnswerB,
                        answer_b = b ?? pair.AnswerA,
                    }),
            ];
    }

    /// <summary>A quick search; the searches of the controls are left out, as what is asked before them is enough to say no.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void NoCircuitOfItIsReal(string name)
    {
        using var engine = new CpuEngine(2);
        using ModelParameters parameters = new RunFolder(CircuitSnapshotTests.Folder).ReadModel(engine);
        using var pruning = TaskPruning.Create(
            CircuitSnapshotTests.Subject(parameters),
            PromptTask.Load(Path.Combine(Folder, name + ".json")),
            new PruningConfig
            {
                Steps = 100,
                KCoef = [5e-4],
                SelectionPairs = 32,
                TestPairs = 32,
                MeanBatches = 4,
                NodeDetails = false,
            }
        );
        Circuit circuit = pruning.Find().Circuit;
        NodeSet nodes = circuit.NodesIn(pruning.Evaluator.Layout);
        using var interchange = new Interchange(pruning.Evaluator, pruning.Prompts.Test, orders: 2, "interchange");

        FaithfulnessCheck[] failed =
        [
            .. Faithfulness
                .OfCircuit(
                    circuit,
                    pruning
                        .Evaluator.Differences(nodes, pruning.Prompts.Test)
                        .DivergenceFrom(pruning.Evaluator.Differences(NodeSet.All(nodes.Layout), pruning.Prompts.Test)),
                    interchange.Measure(nodes),
                    PartialAblation.Measure(pruning.Evaluator, nodes, pruning.Prompts.Test)
                )
                .Where(check => !check.Passed),
        ];

        Assert.Contains(failed, check => check.Question == "does the whole model do the task");
        Assert.True(circuit.Measurements.LossFullModel > 0.6, $"The whole model's loss is {circuit.Measurements.LossFullModel}.");
        Assert.False(circuit.Solved);
    }
}
