using System.Text.Json;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Released;
using Sparsity.Core.Tensors;
using Sparsity.Faults;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Circuits.Released;

/// <summary>Imported circuits against the numbers that the official code gave with them.</summary>
[Trait("Category", "OfficialParity")]
public class CircuitImportTests
{
    private const string Largest = "viz/csp_tiny/single_double_quote/prune_v4/k_optim/viz_data.pt";

    [Theory]
    [MemberData(nameof(ReleasedFixture.Files), MemberType = typeof(ReleasedFixture))]
    public void NodesEdgesLossesAndEffectsAreThoseOfTheFile(string folder, string file)
    {
        using var fixture = new ReleasedFixture(folder);
        JsonElement expected = fixture.Expected.GetProperty("files").GetProperty(file);
        (Circuit circuit, CircuitInputs inputs) = fixture.Import(file);
        RequireNumbers(fixture, expected, circuit, inputs);

        string[] places = file.Split('/');
        Assert.Equal(
            (CircuitImport.TaskName(places[^4]), places[^4], places[^3], places[^2]),
            (circuit.Task, circuit.Imported!.Task, circuit.Imported.Sweep, circuit.Imported.K)
        );
        CircuitMeasurements m = circuit.Measurements;
        JsonElement others = expected.GetProperty("other_readings_of_the_mask_stored_units");
        Assert.Equal(others.GetProperty("only_the_circuit_frozen").GetDouble(), 2 * m.LossWithoutCircuit, fixture.Tolerance);
        Assert.Equal(others.GetProperty("everything_frozen").GetDouble(), 2 * m.LossEmpty, fixture.Tolerance);

        // Two wrong readings of the mask, which must not come out as right.
        Assert.Equal(
            others.GetProperty("zero_instead_of_mean").GetDouble(),
            2 * Loss(new float[inputs.Means.Length], finalResid: true),
            fixture.Tolerance
        );
        Assert.Equal(
            others.GetProperty("final_resid_left_alone").GetDouble(),
            2 * Loss(inputs.Means, finalResid: false),
            fixture.Tolerance
        );

        double Loss(float[] means, bool finalResid)
        {
            var config = new PruningConfig
            {
                MaxTokens = inputs.LongestPrompt,
                TestPairs = inputs.Pairs.Count,
                FinalResid = finalResid,
            };
            using var evaluator = new CircuitEvaluator(
                fixture.Model,
                finalResid ? means : means[..new NodeLayout(fixture.Model.Config).Count],
                config
            );
            return evaluator.Loss(
                NodeSet.Of(
                    evaluator.Layout,
                    circuit.Nodes.Select(node => node.Node).Where(node => finalResid || node.Site.Kind != SiteKind.FinalResid)
                ),
                inputs.Pairs
            );
        }
    }

    /// <summary>
    /// The fixture's effects were made by freezing one node more, and by setting one weight to zero: what this program measures of its own
    /// circuits.
    /// </summary>
    [Theory]
    [MemberData(nameof(ReleasedFixture.Files), MemberType = typeof(ReleasedFixture))]
    public void EffectsMeasuredHereAreThoseOfTheFile(string folder, string file)
    {
        using var fixture = new ReleasedFixture(folder);
        (Circuit circuit, CircuitInputs inputs) = fixture.Import(file);
        var config = new PruningConfig
        {
            MaxTokens = inputs.LongestPrompt,
            TestPairs = inputs.Pairs.Count,
            FinalResid = true,
        };
        using var evaluator = new CircuitEvaluator(fixture.Model, inputs.Means, config);
        NodeSet nodes = circuit.NodesIn(evaluator.Layout);
        string before = fixture.Model.Parameters.Fingerprint();

        IReadOnlyList<double> ofEdges = evaluator.EdgeEffects(nodes, inputs.Pairs);
        IReadOnlyList<double> ofNodes = evaluator.AblationEffects(nodes, inputs.Pairs);

        Assert.Equal(circuit.Edges.Count, ofEdges.Count);
        Assert.All(circuit.Edges.Zip(ofEdges), pair => Assert.Equal(pair.First.Effect!.Value, pair.Second, fixture.Tolerance));
        Assert.All(circuit.Nodes.Zip(ofNodes), pair => Assert.Equal(pair.First.AblationEffect!.Value, pair.Second, fixture.Tolerance));
        Assert.Contains(ofEdges, effect => effect > 0.001);
        Assert.Equal(before, fixture.Model.Parameters.Fingerprint());
    }

    /// <summary>Everything that the official page's code bears, as a file of the release might have it.</summary>
    [Fact]
    public void AnUnusualFileIsTheSameCircuit()
    {
        using var fixture = new ReleasedFixture(ReleasedFixture.Own);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["odd.pt"], Odd(PlainPickle.Read(Path.Combine(fixture.Folder, Largest))).Archive());
        string means = Path.Combine(fixture.Folder, "viz/csp_tiny/mean_baseline_pretrain.pt");

        (Circuit circuit, CircuitInputs inputs) = new CircuitImport("model", fixture.Model, null) { Means = means, Task = "quotes" }.Import(
            folder["odd.pt"]
        );

        RequireNumbers(fixture, fixture.Expected.GetProperty("files").GetProperty(Largest), circuit, inputs);
        Assert.Equal(("quotes", null, null), (circuit.Task, circuit.Imported!.Sweep, circuit.Imported.K));
    }

    [Fact]
    public void AFileWithoutMeansIsFrozenAtZeroAndSaysSo()
    {
        using var fixture = new ReleasedFixture(ReleasedFixture.Own);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, Largest), folder["viz_data.pt"]);
        JsonElement expected = fixture.Expected.GetProperty("files").GetProperty(Largest);

        Circuit circuit = new CircuitImport("model", fixture.Model, null).Import(folder["viz_data.pt"]).Circuit;

        Assert.StartsWith("zero: ", circuit.Imported!.Means, StringComparison.Ordinal);
        Assert.Equal(
            expected.GetProperty("other_readings_of_the_mask_stored_units").GetProperty("zero_instead_of_mean").GetDouble(),
            2 * circuit.Measurements.Loss,
            fixture.Tolerance
        );
    }

    [Fact]
    public void AnswersAreThoseGivenOrThoseWithTheFilesLoss()
    {
        using var fixture = new ReleasedFixture(ReleasedFixture.Own);
        string file = Path.Combine(fixture.Folder, Largest);
        CircuitImport given = new("model", fixture.Model, null) { Answers = (3, 9) };
        (Circuit circuit, CircuitInputs inputs) = given.Import(file);
        Assert.All(inputs.Pairs, pair => Assert.Equal((3, 9), (pair.AnswerA, pair.AnswerB)));
        Assert.Contains("as given", circuit.Imported!.Answers, StringComparison.Ordinal);
        Assert.True(circuit.Measurements.LossFullModel > 0.1);

        using var folder = new TemporaryFolder();
        PlainPickle pickle = PlainPickle.Read(file);
        ((PickledDictionary)((PickledDictionary)pickle.Root!).Field("importances")!).Replace("loss", 1e6);
        File.WriteAllBytes(folder["viz_data.pt"], pickle.Archive());
        BadInputException unknown = Assert.Throws<BadInputException>(() =>
            new CircuitImport("model", fixture.Model, null).Import(folder["viz_data.pt"])
        );
        Assert.Contains("two answers; the model's own most common answers are 40,41", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ACircuitAndWhatItIsMeasuredOnComeBackFromDisk()
    {
        using var fixture = new ReleasedFixture(ReleasedFixture.Own);
        using var folder = new TemporaryFolder();
        (Circuit circuit, CircuitInputs inputs) = fixture.Import(Largest);
        new PrunedTask(circuit, null).WriteTo(folder.Path);
        inputs.WriteTo(folder.Path, circuit, circuit.LayoutIn(fixture.Model.Config));

        Circuit read = Circuit.Load(folder["circuit.json"]);
        CircuitInputs again = CircuitInputs.Load(folder.Path, read, fixture.Model.Config);

        Assert.Equal(JsonText.Write(circuit), JsonText.Write(read));
        Assert.Equal(inputs.Means, again.Means);
        Assert.Equal(inputs.Pairs.Select(pair => JsonText.WriteLine(pair)), again.Pairs.Select(pair => JsonText.WriteLine(pair)));
        Assert.Equal((null, null, null, null), (read.Settings, read.KCoef, read.Solved, read.Calibration));

        Circuit edited = new CircuitImport("model", fixture.Model, null).WithoutNodes(read, again, [Node.Parse("1.attn.v.6")]);
        Assert.Equal([Node.Parse("1.attn.v.6")], edited.RemovedByHand);
        Assert.DoesNotContain(edited.Nodes, node => node.Name == "1.attn.v.6");
        Assert.Null(edited.Imported!.StoredLoss);
        Assert.Equal(
            circuit.Nodes.Single(node => node.Name == "1.attn.v.6").AblationEffect!.Value,
            edited.Measurements.Loss - circuit.Measurements.Loss,
            fixture.Tolerance
        );
        Assert.All(edited.Edges, edge => Assert.NotNull(edge.Effect));
    }

    [Fact]
    public void NamesOfTasksLoseTheReleasesEndings()
    {
        Assert.Equal("single_double_quote", CircuitImport.TaskName("single_double_quote"));
        Assert.Equal("single_double_quote", CircuitImport.TaskName("single_double_quote_beeg3"));
        Assert.Equal("bracket_counting", CircuitImport.TaskName("bracket_counting_beeg"));
        Assert.Equal("beeg_counting", CircuitImport.TaskName("beeg_counting"));
    }

    private static void RequireNumbers(ReleasedFixture fixture, JsonElement expected, Circuit circuit, CircuitInputs inputs)
    {
        double half = fixture.Tolerance / 2; // per prompt
        var sites = expected
            .GetProperty("nodes_by_site")
            .EnumerateObject()
            .SelectMany(site => site.Value.EnumerateArray().Select(channel => $"{site.Name}.{channel}"));
        Assert.Equal(sites.Order(StringComparer.Ordinal), circuit.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal));
        JsonElement model = fixture.Expected.GetProperty("model");
        Assert.Equal(
            (model.GetProperty("nodes").GetInt32(), model.GetProperty("edges").GetInt32()),
            (circuit.TotalNodes, circuit.TotalEdges)
        );
        Assert.Equal(circuit.TotalNodes, circuit.Imported!.StoredTotalNodes);

        JsonElement[] edges = [.. expected.GetProperty("edge_list").EnumerateArray()];
        Dictionary<(string, string), CircuitEdge> found = circuit.Edges.ToDictionary(edge => (edge.From.Name, edge.To.Name));
        Assert.Equal(edges.Length, found.Count);
        foreach (JsonElement edge in edges)
        {
            CircuitEdge here = found[(edge.GetProperty("from").GetString()!, edge.GetProperty("to").GetString()!)];
            Assert.Equal(edge.GetProperty("weight").GetDouble(), here.Weight);
            Assert.Equal(edge.GetProperty("delta_stored").GetDouble() / 2, here.Effect!.Value, half);
        }

        CircuitMeasurements m = circuit.Measurements;
        double full = expected.GetProperty("loss_full_model").GetProperty("per_prompt").GetDouble();
        double loss = expected.GetProperty("loss_circuit").GetProperty("per_prompt").GetDouble();
        Assert.Equal(full, m.LossFullModel, half);
        Assert.Equal(loss, m.Loss, half);
        Assert.Equal(full, circuit.Imported.StoredLossFullModel, half);
        Assert.Equal(loss, circuit.Imported.StoredLoss!.Value, half);
        Assert.Equal(expected.GetProperty("accuracy_full_model").GetDouble(), m.AccuracyFullModel);
        Assert.Equal(expected.GetProperty("accuracy_circuit").GetDouble(), m.Accuracy);

        JsonElement[] ofNodes = [.. expected.GetProperty("node_ablation").EnumerateObject().Select(node => node.Value)];
        Dictionary<string, CircuitNode> nodes = circuit.Nodes.ToDictionary(node => node.Name);
        Assert.Equal(nodes.Count, ofNodes.Length);
        foreach (JsonProperty node in expected.GetProperty("node_ablation").EnumerateObject())
        {
            Assert.Equal(node.Value.GetProperty("delta_per_prompt").GetDouble(), nodes[node.Name].AblationEffect!.Value, half);
        }

        foreach (JsonProperty layer in expected.GetProperty("layer_ablation").EnumerateObject())
        {
            Assert.Equal(layer.Value.GetProperty("stored").GetDouble(), circuit.Imported.LayerLosses[layer.Name], half);
        }

        JsonElement answers = fixture.Expected.GetProperty("answers");
        (int, int) pairOf = (answers.GetProperty("first_half").GetInt32(), answers.GetProperty("second_half").GetInt32());
        Assert.All(inputs.Pairs, pair => Assert.Equal(pairOf, (pair.AnswerA, pair.AnswerB)));
        var prompts = fixture
            .Expected.GetProperty("prompts")
            .EnumerateArray()
            .Select(prompt => string.Join(' ', prompt.GetProperty("tokens").EnumerateArray()));
        Assert.Equal(
            prompts,
            inputs
                .Pairs.Select(pair => pair.First)
                .Concat(inputs.Pairs.Select(pair => pair.Second))
                .Select(tokens => string.Join(' ', tokens))
        );
    }

    /// <summary>
    /// Edges in a list for each process, rows for biases, numbers in tensors, settings among the channels, an unknown entry, two entries
    /// left out.
    /// </summary>
    private static PlainPickle Odd(PlainPickle pickle)
    {
        var root = (PickledDictionary)pickle.Root!;
        var importances = (PickledDictionary)root.Field("importances")!;
        var pairs = (List<object?>)importances.Field("pair_data")!;
        foreach (object? block in pairs)
        {
            var parts = (object?[])(block is List<object?> list ? [.. list] : (object?[])block!);
            string source = (string)((object?[])parts[3]!)[0]!;
            if (source.EndsWith(".v", StringComparison.Ordinal) || source.EndsWith("post_act", StringComparison.Ordinal))
            {
                ((List<object?>)parts[1]!).Add("bias");
                if (source.EndsWith("post_act", StringComparison.Ordinal))
                {
                    AddRow((IList<object?>)block!, pickle.Storages);
                }
            }
        }

        importances.Replace("pair_data", new List<object?> { pairs[..5], pairs[5..] });
        foreach (string name in new[] { "loss", "interv_loss" })
        {
            importances.Replace(name, Scalar((double)importances.Field(name)!, name));
        }

        ((PickledDictionary)root.Field("circuit_data")!).TryAdd("prune_config", new PickledDictionary(isOrdered: false));
        root.Replace(
            "all_loss",
            ((List<object?>)root.Field("all_loss")!).Select(round => (object?)((IEnumerable<object?>)round!).ToArray()).ToArray()
        );
        root.TryAdd("something new", 1L);
        importances.Remove("task_samples_circuit");
        importances.Remove("loc_interv_losses");
        return pickle;

        PickledTensor Scalar(double value, string key)
        {
            pickle.Storages[key] = BitConverter.GetBytes((float)value);
            return new PickledTensor(new PickledStorage(ElementType.F32, key, 1), 0, [], []);
        }
    }

    /// <summary>A row of nines under a matrix.</summary>
    private static void AddRow(IList<object?> block, Dictionary<string, byte[]> storages)
    {
        var matrix = (PickledTensor)block[0]!;
        byte[] numbers = storages[matrix.Storage.Key];
        int width = (int)matrix.Shape[1];
        string key = "row under " + matrix.Storage.Key;
        storages[key] = [.. numbers, .. Enumerable.Repeat(BitConverter.GetBytes(9f), width).SelectMany(bytes => bytes)];
        block[0] = new PickledTensor(
            new PickledStorage(matrix.Storage.Type, key, (numbers.Length / 4) + width),
            matrix.Offset,
            [matrix.Shape[0] + 1, width],
            matrix.Strides
        );
    }
}

/// <summary>Changes that only tests make.</summary>
internal static class PickledDictionaryChanges
{
    public static object? Field(this PickledDictionary dictionary, string name) =>
        dictionary.Items.Single(item => item.Key is string text && text == name).Value;

    public static void Replace(this PickledDictionary dictionary, string name, object? value)
    {
        List<(object Key, object? Value)> items = Items(dictionary);
        items[items.FindIndex(item => item.Key is string text && text == name)] = (name, value);
    }

    public static void Remove(this PickledDictionary dictionary, string name) =>
        Items(dictionary).RemoveAll(item => item.Key is string text && text == name);

    private static List<(object Key, object? Value)> Items(PickledDictionary dictionary) =>
        (List<(object Key, object? Value)>)dictionary.Items;
}
