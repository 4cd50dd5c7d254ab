using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Released;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tensors;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>
/// Damaged files of one kind, the same every time: each is read, or refused by a <see cref="BadInputException"/> or, for numbers that are
/// not finite, a <see cref="NumericalException"/>, in bounded time and memory.
/// </summary>
/// <param name="Name">Of the kind.</param>
/// <param name="Damage">Writes the files with one of them damaged.</param>
/// <param name="Read">Reads them.</param>
internal sealed record Mutations(string Name, Action<RandomSource> Damage, Action Read)
{
    private const long MostSeconds = 2;
    private const long MostBytes = 1L << 30;

    /// <summary>Of the model in fixtures/official/official-circuits.</summary>
    private static ModelConfig ReleasedModel { get; } =
        ModelConfig.Small(64) with
        {
            NLayer = 2,
            DModel = 32,
            NHead = 4,
            DHeadField = 8,
            DMlpField = 64,
            BlockSize = 32,
        };

    private static string Fixtures => Path.Combine(OfficialFixture.Root, "..", "version1");

    /// <summary>Every kind of file this program reads.</summary>
    /// <param name="folder">For the damaged files.</param>
    public static IReadOnlyList<Mutations> Kinds(TemporaryFolder folder) =>
        [
            StateDicts(folder),
            ReleasedCircuits(folder),
            ReleasedMeans(folder),
            SafetensorsFiles(folder),
            Models(folder),
            Checkpoints(folder),
            Tokenizers(folder),
            TokenFiles(folder),
            Corpora(folder),
            Metrics(folder),
            JsonRows(folder),
            ParquetFiles(folder),
            .. JsonFiles(folder),
        ];

    /// <summary>Damages files of every kind in turn.</summary>
    /// <returns>How many were read and how many refused.</returns>
    public static string RunAll(int count, ulong seed)
    {
        using var folder = new TemporaryFolder();
        IReadOnlyList<Mutations> kinds = Kinds(folder);
        int each = (count + kinds.Count - 1) / kinds.Count;
        var text = new StringBuilder();
        int refused = 0;
        foreach (Mutations kind in kinds)
        {
            int ofKind = kind.Run(each, seed);
            refused += ofKind;
            text.Append(FormattableString.Invariant($"  {kind.Name}: {each - ofKind} read, {ofKind} refused\n"));
        }

        int all = each * kinds.Count;
        return string.Create(
                CultureInfo.InvariantCulture,
                $"{all} damaged files of {kinds.Count} kinds: {all - refused} read, {refused} refused as bad input, nothing else\n{text}"
            )
            .TrimEnd();
    }

    /// <returns>How many were refused.</returns>
    public int Run(int cases, ulong seed = 0)
    {
        int refused = 0;
        for (int i = 0; i < cases; i++)
        {
            Damage(RandomSource.For(seed, Name, i));
            Exception? exception = null;
            double seconds = double.PositiveInfinity;
            long bytes = 0;

            // A second try where the first was slow: the machine may have been busy with something else.
            for (int attempt = 0; attempt < 2 && seconds > MostSeconds; attempt++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                long start = Stopwatch.GetTimestamp();
                exception = Caught(Read);
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            }

            FaultFoundException.Require(
                exception is null or BadInputException or NumericalException,
                $"{Name}, case {i} of seed {seed}: {exception}"
            );
            FaultFoundException.Require(seconds <= MostSeconds, $"{Name}, case {i} of seed {seed} took {seconds:0.0} s.");
            FaultFoundException.Require(bytes <= MostBytes, $"{Name}, case {i} of seed {seed} allocated {bytes} bytes.");
            if (exception is not null)
            {
                refused++;
                FaultFoundException.Require(
                    !exception.Message.Any(char.IsControl),
                    $"{Name}, case {i} of seed {seed}: control characters in {exception.Message}"
                );
            }
        }

        return refused;
    }

    private static Exception? Caught(Action read)
    {
        try
        {
            read();
            return null;
        }
        catch (Exception e)
        {
            return e; // whatever it is, it is judged above
        }
    }

    private static Mutations StateDicts(TemporaryFolder folder)
    {
        string path = folder["fuzzed.pt"];
        TorchFile.Write(path, Tensors());
        byte[][] files = [File.ReadAllBytes(Path.Combine(OfficialFixture.Root, "..", "torch", "types.pt")), File.ReadAllBytes(path)];
        return new(
            "state dicts",
            random => File.WriteAllBytes(path, Mutation.OfBytes(files[random.NextInt(files.Length)], random)),
            () => ReadAll(TorchFile.Open(path))
        );
    }

    /// <summary>
    /// A circuit of the official form without its samples, so that damage meets what is read: its bytes damaged, or its values exchanged.
    /// </summary>
    private static Mutations ReleasedCircuits(TemporaryFolder folder)
    {
        string path = folder["released/viz_data.pt"];
        string fixture = Path.Combine(OfficialFixture.Root, "official-circuits");
        PlainPickle whole = PlainPickle.Read(
            Path.Combine(fixture, "viz", "csp_tiny", "single_double_quote", "prune_v2", "24", "viz_data.pt")
        );
        var root = (PickledDictionary)whole.Root!;
        var small = new PickledDictionary(isOrdered: false);
        foreach ((object key, object? value) in root.Items.Where(item => item.Key is not "samples"))
        {
            small.TryAdd(key, value);
        }

        PlainPickle pickle = whole with { Root = small };
        return new(
            "released circuits",
            random => File.WriteAllBytes(path, OfPickle(pickle, random)),
            () => ReleasedCircuitReader.Read(path, ReleasedModel)
        );
    }

    private static Mutations ReleasedMeans(TemporaryFolder folder)
    {
        string path = folder["released/means.pt"];
        PlainPickle pickle = PlainPickle.Read(
            Path.Combine(OfficialFixture.Root, "official-circuits", "viz", "csp_tiny", Core.Released.ReleasedMeans.FileName)
        );
        var layout = new NodeLayout(ReleasedModel, finalResid: true);
        return new(
            "released means",
            random => File.WriteAllBytes(path, OfPickle(pickle, random)),
            () => Core.Released.ReleasedMeans.Read(path, layout)
        );
    }

    private static Mutations SafetensorsFiles(TemporaryFolder folder)
    {
        string path = folder["fuzzed.safetensors"];
        Safetensors.Write(path, Tensors(), new Dictionary<string, string> { ["format"] = "pt" });
        byte[][] files = [File.ReadAllBytes(path), WithoutChecksums(File.ReadAllBytes(path))];
        return new(
            "safetensors",
            random => File.WriteAllBytes(path, OfSafetensors(files[random.NextInt(files.Length)], random)),
            () => ReadAll(Safetensors.Open(path))
        );
    }

    /// <summary>A run's config.json or model.safetensors, read into an engine.</summary>
    private static Mutations Models(TemporaryFolder folder)
    {
        string config = folder["model/config.json"],
            model = folder["model/model.safetensors"];
        byte[] configBytes = File.ReadAllBytes(Path.Combine(Fixtures, "sparse", "config.json")),
            modelBytes = File.ReadAllBytes(Path.Combine(Fixtures, "sparse", "model.safetensors"));
        var engine = new CpuEngine(1);
        return new(
            "models",
            random =>
            {
                bool isConfig = random.NextBool(0.7);
                File.WriteAllBytes(config, isConfig ? OfJson(configBytes, random) : configBytes);
                File.WriteAllBytes(model, isConfig ? modelBytes : OfSafetensors(modelBytes, random));
            },
            () => new RunFolder(folder["model"]).ReadModel(engine).Dispose()
        );
    }

    private static Mutations Checkpoints(TemporaryFolder folder)
    {
        var run = new RunFolder(Path.Combine(Fixtures, "sparse"));
        ModelConfig model = run.ReadConfig();
        var trainer = new Trainer(new CpuEngine(1), model, run.ReadRecord().Training.Resolved(model));
        string last = folder["checkpoint/train_state.safetensors"],
            earlier = folder["checkpoint/train_state.step-7.safetensors"];
        byte[] whole = File.ReadAllBytes(run.StatePath);
        return new(
            "checkpoints",
            random =>
            {
                File.Delete(earlier);
                File.WriteAllBytes(last, OfSafetensors(whole, random));
                if (random.NextBool(0.3))
                {
                    File.WriteAllBytes(earlier, random.NextBool(0.5) ? whole : OfSafetensors(whole, random));
                }
            },
            () => trainer.Resume(new RunFolder(folder["checkpoint"]))
        );
    }

    private static Mutations Tokenizers(TemporaryFolder folder)
    {
        BytePairTokenizer tokenizer = Tokenizer();
        tokenizer.Save(folder["gpt2"]);
        tokenizer.Save(folder["huggingface"], TokenizerFormat.HuggingFace);
        string[] names = ["vocab.bpe", "encoder.json", "tokenizer.json"];
        byte[][] contents = [.. names.Select((name, i) => File.ReadAllBytes(Path.Combine(folder[i < 2 ? "gpt2" : "huggingface"], name)))];
        string fuzzed = Directory.CreateDirectory(folder["fuzzed"]).FullName;
        return new(
            "tokenizers",
            random =>
            {
                int damaged = random.NextInt(names.Length);
                for (int i = 0; i < names.Length; i++)
                {
                    string path = Path.Combine(fuzzed, names[i]);
                    File.Delete(path);
                    if (damaged < 2 == i < 2)
                    {
                        File.WriteAllBytes(
                            path,
                            i != damaged ? contents[i]
                                : i > 0 ? OfJson(contents[i], random)
                                : Mutation.OfBytes(contents[i], random)
                        );
                    }
                }
            },
            () =>
            {
                const string Text = "def h(yx):\n    return \u00e9 + 11\n";
                BytePairTokenizer read = BytePairTokenizer.Load(fuzzed);
                FaultFoundException.Require(read.DecodeText(read.Encode(Text)) == Text, "a tokenizer that was read changes text");
            }
        );
    }

    private static Mutations TokenFiles(TemporaryFolder folder)
    {
        string path = folder["tokens/fuzzed.bin"],
            side = folder["tokens/fuzzed.json"];
        TokenFile.Write(path, Tokenizer(), Enumerable.Range(0, 20).Select(i => $"def f{i}(x):\n    return x + {i}\n"));
        byte[] tokens = File.ReadAllBytes(path),
            counts = File.ReadAllBytes(side);
        return new(
            "token files",
            random =>
            {
                bool isSide = random.NextBool(0.7);
                File.WriteAllBytes(path, isSide ? tokens : Mutation.OfBytes(tokens, random));
                File.WriteAllBytes(side, isSide ? OfJson(counts, random) : counts);
            },
            () =>
            {
                TokenFile file = TokenFile.Open(path);
                FaultFoundException.Require(
                    !file.Tokens.Span.ContainsAnyExceptInRange((ushort)0, (ushort)(file.VocabularySize - 1)),
                    "a token outside the vocabulary"
                );
            }
        );
    }

    private static Mutations Corpora(TemporaryFolder folder)
    {
        CorpusFolder.Write(
            folder["corpus"],
            [new("a.py", "x = 1\n", false), new("b.py", "y = 2\n", true), new("c.py", "z = 3\n", false)],
            CorpusInfo.Of("test", 1)
        );
        string[] paths = [folder["corpus/corpus.json"], folder["corpus/text/train-00000.jsonl"]];
        byte[][] contents = [.. paths.Select(File.ReadAllBytes)];
        return new(
            "corpora",
            random =>
            {
                int damaged = random.NextInt(paths.Length);
                File.WriteAllBytes(paths[damaged], damaged == 0 ? OfJson(contents[0], random) : OfLines(contents[1], random));
                File.WriteAllBytes(paths[1 - damaged], contents[1 - damaged]);
            },
            () => _ = CorpusFolder.ReadTrain(folder["corpus"]).Sum(text => text.Length)
        );
    }

    private static Mutations JsonRows(TemporaryFolder folder)
    {
        string path = folder["rows/fuzzed.jsonl"];
        byte[] whole = Encoding.UTF8.GetBytes(
            string.Concat(Enumerable.Range(0, 8).Select(i => $"{{\"text\": \"x = {i}\\n\", \"meta\": {{\"stars\": [{i}, 0.5]}}}}\n"))
        );
        return new(
            "rows of JSON",
            random => File.WriteAllBytes(path, OfLines(whole, random)),
            () => _ = new TextTree([path]).Documents.Count()
        );
    }

    private static Mutations ParquetFiles(TemporaryFolder folder)
    {
        string path = folder["rows/fuzzed.parquet"];
        byte[][] files =
        [
            .. new[] { "snappy", "zstd-v2", "gzip-plain" }.Select(name =>
                File.ReadAllBytes(Path.Combine(OfficialFixture.Root, "..", "parquet", name + ".parquet"))
            ),
        ];
        return new(
            "Parquet",
            random => File.WriteAllBytes(path, Mutation.OfBytes(files[random.NextInt(files.Length)], random)),
            () => _ = new TextTree([path]).Documents.Count()
        );
    }

    private static Mutations Metrics(TemporaryFolder folder)
    {
        string path = folder["metrics.jsonl"];
        byte[] whole = File.ReadAllBytes(Path.Combine(Fixtures, "sparse", "metrics.jsonl"));
        return new(
            "metrics",
            random => File.WriteAllBytes(path, OfLines(whole, random)),
            () => TrainingRun.LinesBefore(11, JsonText.ReadAllText(path))
        );
    }

    /// <summary>Files that are one JSON object.</summary>
    private static IEnumerable<Mutations> JsonFiles(TemporaryFolder folder)
    {
        ModelConfig model = new RunFolder(Path.Combine(Fixtures, "sparse")).ReadConfig();
        string task =
            """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "a", "second": "b", "answer_a": "c", "answer_b": "d"}], "test": [{"first": "e", "second": "f", "answer_a": "g", "answer_b": "h"}]}""";
        yield return Json("task files", Encoding.UTF8.GetBytes(task), path => PromptTask.Load(path));
        yield return Json(
            "training settings",
            Encoding.UTF8.GetBytes(JsonText.Write(TinyModels.Training)),
            path => JsonText.ReadFile<TrainingConfig>(path).Resolved(TinyModels.Config)
        );
        yield return Json(
            "run records",
            File.ReadAllBytes(Path.Combine(Fixtures, "sparse", "run.json")),
            path => JsonText.ReadFile<RunRecord>(path).Training.Resolved(model)
        );
        yield return Json("circuits", Fixture("circuit.json"), path => CircuitExport.Dot(Circuit.Load(path)));
        yield return Json("activations", Fixture("activations.json"), path => CircuitActivations.Load(path));
        yield return Json(
            "faithfulness",
            File.ReadAllBytes(Path.Combine(Fixtures, "..", "faithfulness.json")),
            path => Faithfulness.TryLoad(path)
        );
        yield return Json("pruning plans", Fixture("prune.json"), path => _ = PruningPlan.Load(path).Jobs.Count());
        yield return Json("pruning results", Fixture("results.json"), path => _ = PruningResults.Load(path).Totals.Count);
        yield return Json(
            "masks",
            Fixture("mask_state.json"),
            path => new MaskCheckpoint(path, (string)JsonNode.Parse(Fixture("mask_state.json"))!["search"]!).Finished(72, [1e-4])
        );
        yield return Json(
            "bridge records",
            File.ReadAllBytes(Path.Combine(Fixtures, "bridged", "bridge.json")),
            path => new BridgeFolder(Path.GetDirectoryName(path)!).ReadRecord()
        );

        Mutations Json(string name, byte[] content, Action<string> read)
        {
            string path = folder[$"{name}/bridge.json"];
            return new(name, random => File.WriteAllBytes(path, OfJson(content, random)), () => read(path));
        }

        static byte[] Fixture(string name) => File.ReadAllBytes(Path.Combine(Fixtures, "pruned", name));
    }

    /// <summary>Half the time other values, half the time other bytes in the pickle; now and then in the whole file.</summary>
    private static byte[] OfPickle(PlainPickle pickle, RandomSource random) =>
        random.NextInt(10) switch
        {
            0 => Mutation.OfBytes(pickle.Archive(), random),
            < 5 => pickle.Archive(Mutation.OfBytes(pickle.Pickle(), random)),
            _ => (pickle with { Root = Mutation.OfPickle(pickle.Root, random) }).Archive(),
        };

    private static byte[] OfJson(byte[] content, RandomSource random) =>
        random.NextBool(0.6) ? Mutation.OfJson(content, random) : Mutation.OfBytes(content, random);

    /// <summary>One line of JSON lines damaged.</summary>
    private static byte[] OfLines(byte[] content, RandomSource random)
    {
        string[] lines = Encoding.UTF8.GetString(content).Split('\n');
        int line = random.NextInt(lines.Length - 1);
        byte[] before = Encoding.UTF8.GetBytes(string.Concat(lines[..line].Select(text => text + "\n")));
        byte[] after = Encoding.UTF8.GetBytes("\n" + string.Join('\n', lines[(line + 1)..]));
        return [.. before, .. OfJson(Encoding.UTF8.GetBytes(lines[line]), random), .. after];
    }

    private static byte[] OfSafetensors(byte[] file, RandomSource random)
    {
        int header = 8 + (int)BitConverter.ToInt64(file);
        byte[] json = random.NextBool(0.5) ? Mutation.OfJson(file.AsSpan(8, header - 8), random) : [];
        return json.Length == 0
            ? Mutation.OfBytes(file, random)
            : [.. BitConverter.GetBytes((long)json.Length), .. json, .. file[header..]];
    }

    private static byte[] WithoutChecksums(byte[] file)
    {
        int header = 8 + (int)BitConverter.ToInt64(file);
        JsonObject json = JsonNode.Parse(file.AsSpan(8, header - 8))!.AsObject();
        json.Remove("__metadata__");
        byte[] text = Encoding.UTF8.GetBytes(json.ToJsonString());
        return [.. BitConverter.GetBytes((long)text.Length), .. text, .. file[header..]];
    }

    private static BytePairTokenizer Tokenizer() =>
        BytePairTrainer.Train(["def f(x):\n    return x + 1\n", "def g(xy):\n    return f(xy) + f(1)\n"], 270);

    /// <summary>A few tensors of several types.</summary>
    private static TensorToWrite[] Tensors() =>
        [
            TensorToWrite.Of("transformer.wte.weight", [5, 4], () => [.. Enumerable.Range(0, 20).Select(i => i / 8f)]),
            TensorToWrite.Of("bias", [4], () => new[] { 1f, 2f, 3f, 4f }),
            TensorToWrite.Of("scalar", [], () => new[] { 1 }),
            new("half", [2, 3], ElementType.F16, () => MemoryMarshal.AsBytes<Half>(new Half[6])),
            new("bool", [1, 1, 3], ElementType.BOOL, () => new byte[] { 1, 0, 1 }),
        ];

    private static void ReadAll(TensorFile file)
    {
        using (file)
        {
            foreach (StoredTensor tensor in file.Tensors)
            {
                FaultFoundException.Require(
                    (long)tensor.Length * tensor.Type.Size() == tensor.Bytes().Length,
                    "a tensor of other length than its shape"
                );
                FaultFoundException.Require(
                    !tensor.Type.IsFloatingPoint() || tensor.Length == tensor.Floats().Length,
                    "a tensor of other length than its shape"
                );
            }
        }
    }
}
