using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests;

/// <summary>What holds for every input, on random ones.</summary>
public class PropertyTests
{
    private static readonly string[] Python =
    [
        "def f(items):\n    return [item for item in items]\n",
        "print(\"hello\", 'world')\n",
        "while True:\n    pass # ünï\n",
    ];

    [Fact]
    public void TokensDecodeToTheBytesTheyCameFrom()
    {
        BytePairTokenizer tokenizer = BytePairTrainer.Train([.. Python, .. Python], 290);
        Gen<byte[]> bytes = Gen.OneOf(
            ArbMap.Default.GeneratorFor<byte[]>(),
            Gen.Elements(Python).ArrayOf().Select(parts => Encoding.UTF8.GetBytes(string.Concat(parts))),
            ArbMap.Default.GeneratorFor<UnicodeString>().Select(text => Encoding.UTF8.GetBytes(text.Item ?? ""))
        );
        RandomCases.ForAll(
            bytes,
            text =>
            {
                List<int> tokens = [];
                tokenizer.Encode(text, tokens);
                List<int> again = [];
                tokenizer.Encode(tokenizer.Decode([.. tokens]), again);
                return tokenizer.Decode([.. tokens]).SequenceEqual(text)
                    && tokens.All(token => token >= 0 && token < tokenizer.EndOfText)
                    && tokens.SequenceEqual(again);
            }
        );
    }

    [Fact]
    public void TheBudgetFallsFromDenseToItsTargetAndTheRateStaysBelowItsPeak()
    {
        Gen<(TrainingConfig Settings, int LastStep)> cases =
            from density in Gen.Choose(1, 1000)
            from start in Gen.Choose(1, 400)
            from length in Gen.Choose(1, 500)
            from warmup in Gen.Choose(0, 900)
            from mode in Gen.Elements(AnnealMode.Linear, AnnealMode.PowerLaw)
            from sharkfin in ArbMap.Default.GeneratorFor<bool>()
            from lastStep in Gen.Choose(2, 500)
            select (
                new TrainingConfig
                {
                    Density = density / 1000.0,
                    PfracAnnealStartFrac = start / 1000.0,
                    PfracAnnealStopFrac = (start + length) / 1000.0,
                    PfracAnnealMode = mode,
                    LrWarmupFrac = warmup / 1000.0,
                    PfracAnnealScheduleLrWithL0 = sharkfin,
                },
                lastStep
            );
        RandomCases.ForAll(
            cases,
            entry =>
            {
                var model = new ModelConfig { DModel = 256, DMlpField = 1024 };
                TrainingConfig config = entry.Settings.Resolved(model);
                var schedule = new Schedule(config, entry.LastStep);
                double[] fractions = [.. Enumerable.Range(0, entry.LastStep + 1).Select(schedule.MatrixFraction)];
                double[] embeddings = [.. Enumerable.Range(0, entry.LastStep + 1).Select(schedule.EmbeddingFraction)];
                double[] rates = [.. Enumerable.Range(0, entry.LastStep + 1).Select(schedule.LearningRate)];
                return fractions.Zip(fractions.Skip(1)).All(pair => pair.Second <= pair.First * (1 + 1e-12))
                    && fractions.All(fraction => fraction is > 0 and <= 1)
                    && embeddings.All(fraction => fraction is > 0 and <= 1)
                    && embeddings.Zip(embeddings.Skip(1)).All(pair => pair.Second <= pair.First * (1 + 1e-12))
                    && Math.Abs(fractions[^1] - entry.Settings.Density!.Value) < 1e-9
                    && rates.All(rate => rate >= 0 && rate <= config.Lr * (1 + 1e-12));
            }
        );
    }

    [Fact]
    public void TensorsComeBackBitForBit()
    {
        using var folder = new TemporaryFolder();
        string path = folder["a.safetensors"];
        Gen<(string Name, int[] Bits)[]> files = (
            from name in ArbMap.Default.GeneratorFor<NonEmptyString>()
            from bits in ArbMap.Default.GeneratorFor<int[]>()
            select (name.Get, bits)
        )
            .ArrayOf()
            .Select(entries =>
                entries
                    .Where(entry => entry.Get != "__metadata__" && !entry.Get.Any(char.IsSurrogate))
                    .DistinctBy(entry => entry.Get)
                    .ToArray()
            );
        RandomCases.ForAll(
            files,
            tensors =>
            {
                Safetensors.Write(
                    path,
                    [
                        .. tensors.Select(tensor =>
                            TensorToWrite.Of(
                                tensor.Name,
                                [tensor.Bits.Length],
                                () => tensor.Bits.Select(BitConverter.Int32BitsToSingle).ToArray()
                            )
                        ),
                    ],
                    new Dictionary<string, string> { ["step"] = "1" }
                );
                using TensorFile file = Safetensors.Open(path);
                return file.Tensors.Count == tensors.Length
                    && file.Metadata["step"] == "1"
                    && tensors.All(tensor =>
                        file.ByName[tensor.Name].Floats().ToArray().Select(BitConverter.SingleToInt32Bits).SequenceEqual(tensor.Bits)
                    );
            }
        );
    }

    [Fact]
    public void ExtractionKeepsEveryEdgeBetweenNodesThatLeadSomewhere()
    {
        ModelConfig config = new ModelConfig
        {
            BlockSize = 4,
            VocabSize = 5,
            NLayer = 2,
            NHead = 2,
            DHeadField = 2,
            DModel = 3,
            DMlpField = 4,
            RmsNorm = true,
        }.Validated();
        using var engine = new CpuEngine(1);
        using var parameters = new ModelParameters(engine, config);
        Gen<(ulong Seed, int Zeros, int Dropped)> cases =
            from seed in Gen.Choose(0, 1 << 30)
            from zeros in Gen.Choose(0, 10)
            from dropped in Gen.Choose(0, 10)
            select ((ulong)seed, zeros, dropped);
        RandomCases.ForAll(
            cases,
            entry =>
            {
                var random = new RandomSource(entry.Seed);
                foreach (Parameter parameter in parameters.All)
                {
                    float[] values = new float[parameter.Spec.Length];
                    for (int i = 0; i < values.Length; i++)
                    {
                        values[i] = random.NextInt(10) < entry.Zeros ? 0 : (float)random.NextNormal();
                    }

                    engine.Write(parameter.Value, values);
                }

                var graph = new CircuitGraph(parameters);
                var all = NodeSet.All(graph.Layout);
                var nodes = new NodeSet(graph.Layout, all.Numbers.Where(_ => random.NextInt(10) >= entry.Dropped));
                NodeSet kept = graph.WithoutDeadEnds(nodes);
                (int From, int To, float Weight)[] edges = [.. graph.Edges(kept)];
                bool isSubset = kept.Numbers.All(nodes.Contains);
                bool hasAllEdges = graph.Edges(all).Where(edge => kept.Contains(edge.From) && kept.Contains(edge.To)).SequenceEqual(edges);
                bool isLeadingOn = kept.Numbers.All(i =>
                    graph.Layout[i].Site.Kind is not (SiteKind.AttnActIn or SiteKind.AttnV or SiteKind.MlpActIn or SiteKind.MlpPostAct)
                    || edges.Any(edge => edge.From == i)
                );

                // A dropped node had, among all that were asked for, no way on: put back alone, it leads to nothing kept.
                bool isMinimal = nodes
                    .Numbers.Where(i => !kept.Contains(i))
                    .All(i => !graph.Edges(new NodeSet(graph.Layout, kept.Numbers.Append(i))).Any(edge => edge.From == i));
                return isSubset
                    && hasAllEdges
                    && isLeadingOn
                    && isMinimal
                    && graph.WithoutDeadEnds(kept).Numbers.SequenceEqual(kept.Numbers);
            }
        );
    }
}
