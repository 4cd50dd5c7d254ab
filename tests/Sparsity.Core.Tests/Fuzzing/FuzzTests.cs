using System.Diagnostics;
using System.Runtime.InteropServices;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Storage;
using Sparsity.Core.Tests.Circuits;
using Sparsity.Core.Tests.Storage;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Fuzzing;

/// <summary>20,000 damaged files, the same every time: each is read, or refused by a <see cref="BadInputException"/>, in bounded time and memory.</summary>
public sealed class FuzzTests : IDisposable
{
    private const int CasesOfEachKind = 4000;
    private const long MostSeconds = 2;
    private const long MostBytes = 1L << 30;
    private static readonly BytePairTokenizer Tokenizer = BytePairTrainer.Train(["def f(x):\n    return x + 1\n", "def g(xy):\n    return f(xy) + f(1)\n"], 270);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void StateDicts()
    {
        TorchFile.Write(_folder["small.pt"], Tensors());
        byte[][] files = [File.ReadAllBytes(Path.Combine(TorchFileTests.Folder, "types.pt")), File.ReadAllBytes(_folder["small.pt"])];
        string path = _folder["fuzzed.pt"];
        Fuzz(
            random => File.WriteAllBytes(path, Mutation.OfBytes(files[random.NextInt(files.Length)], random)),
            () => ReadAll(TorchFile.Open(path)));
    }

    [Fact]
    public void SafetensorsFiles()
    {
        Safetensors.Write(_folder["small.safetensors"], Tensors(), new Dictionary<string, string> { ["format"] = "pt" });
        byte[] file = File.ReadAllBytes(_folder["small.safetensors"]);
        int header = 8 + (int)BitConverter.ToInt64(file);
        string path = _folder["fuzzed.safetensors"];
        Fuzz(
            random =>
            {
                byte[] json = random.NextBool(0.5) ? Mutation.OfJson(file.AsSpan(8, header - 8), random) : [];
                File.WriteAllBytes(path, json.Length == 0 ? Mutation.OfBytes(file, random) : [.. BitConverter.GetBytes((long)json.Length), .. json, .. file[header..]]);
            },
            () => ReadAll(Safetensors.Open(path)));
    }

    [Fact]
    public void JsonFiles()
    {
        string source = Path.Combine(OfficialFixture.Root, "forward", "e_rms_sink_afrac8");
        File.Copy(Path.Combine(source, StoredModel.OfficialTensorsName), _folder[StoredModel.OfficialTensorsName]);
        string config = _folder[StoredModel.OfficialConfigName];
        string training = _folder["training.json"];
        string circuit = _folder["circuit.json"];
        (string Path, byte[] Content, Action Read)[] kinds =
        [
            (config, File.ReadAllBytes(Path.Combine(source, StoredModel.OfficialConfigName)), () => StoredModel.Open(_folder.Path).Dispose()),
            (training, System.Text.Encoding.UTF8.GetBytes(JsonText.Write(TinyModels.Training)), () => JsonText.ReadFile<TrainingConfig>(training).Resolved(TinyModels.Config)),
            (circuit, System.Text.Encoding.UTF8.GetBytes(JsonText.Write(CircuitFileTests.Example)), () => Circuit.Load(circuit)),
        ];
        Action read = () => { };
        Fuzz(
            random =>
            {
                (string path, byte[] content, read) = kinds[random.NextInt(kinds.Length)];
                foreach ((string other, byte[] original, _) in kinds)
                {
                    File.WriteAllBytes(other, other == path ? random.NextBool(0.6) ? Mutation.OfJson(content, random) : Mutation.OfBytes(content, random) : original);
                }
            },
            () => read());
    }

    [Fact]
    public void TokenizerFiles()
    {
        Tokenizer.Save(_folder["gpt2"]);
        Tokenizer.Save(_folder["huggingface"], TokenizerFormat.HuggingFace);
        string[] names = ["vocab.bpe", "encoder.json", "tokenizer.json"];
        byte[][] contents = [.. names.Select((name, i) => File.ReadAllBytes(Path.Combine(_folder[i < 2 ? "gpt2" : "huggingface"], name)))];
        Directory.CreateDirectory(_folder["fuzzed"]);
        Fuzz(
            random =>
            {
                int damaged = random.NextInt(names.Length);
                for (int i = 0; i < names.Length; i++)
                {
                    string path = Path.Combine(_folder["fuzzed"], names[i]);
                    File.Delete(path);
                    if (damaged < 2 == i < 2)
                    {
                        File.WriteAllBytes(path, i != damaged ? contents[i] : i > 0 && random.NextBool(0.6) ? Mutation.OfJson(contents[i], random) : Mutation.OfBytes(contents[i], random));
                    }
                }
            },
            () =>
            {
                BytePairTokenizer tokenizer = BytePairTokenizer.Load(_folder["fuzzed"]);
                const string Text = "def h(yx):\n    return \u00e9 + 11\n";
                Assert.Equal(Text, tokenizer.DecodeText(tokenizer.Encode(Text)));
            });
    }

    [Fact]
    public void TokenFiles()
    {
        string path = _folder["fuzzed.bin"];
        string side = _folder["fuzzed.json"];
        TokenFile.Write(path, Tokenizer, Enumerable.Range(0, 20).Select(i => $"def f{i}(x):\n    return x + {i}\n"));
        byte[] tokens = File.ReadAllBytes(path);
        byte[] counts = File.ReadAllBytes(side);
        Fuzz(
            random =>
            {
                bool isSide = random.NextBool(0.7);
                File.WriteAllBytes(path, isSide ? tokens : Mutation.OfBytes(tokens, random));
                File.WriteAllBytes(side, !isSide ? counts : random.NextBool(0.6) ? Mutation.OfJson(counts, random) : Mutation.OfBytes(counts, random));
            },
            () =>
            {
                TokenFile file = TokenFile.Open(path);
                Assert.All(file.Tokens.ToArray(), id => Assert.InRange(id, 0, file.VocabularySize - 1));
            });
    }

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
                Assert.Equal((long)tensor.Length * tensor.Type.Size(), tensor.Bytes().Length);
                if (tensor.Type.IsFloatingPoint())
                {
                    Assert.Equal(tensor.Length, tensor.Floats().Length);
                }
            }
        }
    }

    /// <summary>Writes a damaged file and reads it, many times; a share of them must come through, and a share be refused, else the damage shows nothing.</summary>
    private static void Fuzz(Action<RandomSource> write, Action read)
    {
        int refused = 0;
        for (int seed = 0; seed < CasesOfEachKind; seed++)
        {
            write(new RandomSource((ulong)seed));
            Exception? exception = null;
            double seconds = double.PositiveInfinity;
            long bytes = 0;

            // A second try where the first was slow: the machine may have been busy with something else.
            for (int attempt = 0; attempt < 2 && seconds > MostSeconds; attempt++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                long start = Stopwatch.GetTimestamp();
                exception = Record.Exception(read);
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            }

            Assert.True(exception is null or BadInputException, $"Case {seed}: {exception}");
            Assert.True(seconds <= MostSeconds, $"Case {seed} took {seconds:0.0} s.");
            Assert.True(bytes <= MostBytes, $"Case {seed} allocated {bytes} bytes.");
            if (exception is not null)
            {
                refused++;
                Assert.DoesNotContain(exception.Message, char.IsControl);
            }
        }

        Assert.InRange(refused, CasesOfEachKind / 20, CasesOfEachKind - 1);
    }
}
