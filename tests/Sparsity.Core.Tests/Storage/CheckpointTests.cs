using System.Text;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

/// <summary>What a checkpoint survives: damage, a second writer, a newer program, and a stop before it was there.</summary>
public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ushort[] _training = TinyModels.Tokens(4000, 1);
    private readonly ushort[] _validation = TinyModels.Tokens(400, 2);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EveryFlippedBitIsSeenAndItsTensorNamed()
    {
        string path = _folder["a.safetensors"];
        Safetensors.Write(
            path,
            [
                TensorToWrite.Of("first", [3], () => new[] { 1f, 2f, 3f }),
                TensorToWrite.Of("second", [2, 2], () => new[] { 4, 5, 6, 7 }),
                TensorToWrite.Of("none", [0], () => Array.Empty<float>()),
            ],
            new Dictionary<string, string> { ["step"] = "500", ["format"] = "pt" }
        );
        byte[] whole = File.ReadAllBytes(path);
        int header = 8 + (int)BitConverter.ToInt64(whole);
        ReadAll(path);
        for (int bit = 0; bit < 8 * whole.Length; bit++)
        {
            byte[] damaged = [.. whole];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(path, damaged);
            string message = Assert.Throws<BadInputException>(() => ReadAll(path)).Message;
            Assert.StartsWith(path, message, StringComparison.Ordinal);
            if (bit / 8 >= header)
            {
                Assert.Contains(bit / 8 < header + 12 ? "first is damaged" : "second is damaged", message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void FilesWithoutChecksumsAreRead()
    {
        string json = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        File.WriteAllBytes(
            _folder["foreign.safetensors"],
            [.. BitConverter.GetBytes((long)json.Length), .. Encoding.UTF8.GetBytes(json), .. BitConverter.GetBytes(2.5f)]
        );
        using TensorFile file = Safetensors.Open(_folder["foreign.safetensors"]);
        Assert.Equal([2.5f], file.ByName["a"].Floats().ToArray());
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void TheChecksumIsCrc32C()
    {
        Assert.Equal(0xe3069283, Crc32C.Of("123456789"u8)); // RFC 3720's check value
        Assert.Equal(0x8a9136aa, Crc32C.Of(new byte[32]));
        Assert.Equal(0xe3069283, Crc32C.Of("6789"u8, Crc32C.Of("12345"u8)));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    [InlineData(4, 3)]
    public void AsManyCheckpointsAreKeptAsAskedFor(int keep, int earlier)
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        Train(folder, keep);
        Train(folder, keep, resume: true); // nothing left to do: writes the last one again
        string[] found =
        [
            .. Directory
                .EnumerateFiles(folder.Directory, "train_state.step-*")
                .Select(path => Path.GetFileName(path))
                .Order(StringComparer.Ordinal),
        ];
        Assert.Equal(
            new[] { "train_state.step-21.safetensors", "train_state.step-28.safetensors", "train_state.step-35.safetensors" }[
                (3 - earlier)..
            ],
            found
        );
    }

    [Fact]
    public void ADamagedCheckpointIsToldOfAndTheOneBeforeLeadsToTheSameEnd()
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        Train(folder, 2);
        byte[] state = File.ReadAllBytes(folder.StatePath);
        byte[] model = File.ReadAllBytes(folder.ModelPath);
        byte[] damaged = [.. state];
        damaged[^5] ^= 16;
        foreach (byte[]? newest in new[] { damaged, state[..1000], null })
        {
            File.Delete(folder.StatePath);
            File.WriteAllText(folder.ModelPath, "damaged too");
            if (newest is not null)
            {
                File.WriteAllBytes(folder.StatePath, newest);
            }

            (int step, string? damage) = Train(folder, 2, resume: true);
            Assert.Equal(35, step);
            Assert.Contains("train_state.safetensors", damage, StringComparison.Ordinal);
            Assert.Contains("train_state.step-35.safetensors", damage, StringComparison.Ordinal);
            Assert.Equal(state, File.ReadAllBytes(folder.StatePath));
            Assert.Equal(model, File.ReadAllBytes(folder.ModelPath));
            Assert.Equal(41, File.ReadLines(folder.MetricsPath).Count());
        }
    }

    [Fact]
    public void ARunStoppedBeforeItsFirstCheckpointIsResumedFromItsStart()
    {
        RunFolder whole = RunFolder.Create(_folder["whole"]);
        Train(whole, 1);
        RunFolder killed = RunFolder.Create(_folder["killed"]);
        File.WriteAllText(killed.MetricsPath, "{\"step\":0,\"loss\":1}\n{\"st");
        Assert.Equal(0, Train(killed, 1, resume: true).Step);
        Assert.Equal(File.ReadAllBytes(whole.StatePath), File.ReadAllBytes(killed.StatePath));
        Assert.Equal(41, File.ReadLines(killed.MetricsPath).Count());
    }

    [Fact]
    public void ASecondWriterIsRefusedAndToldWho()
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        using (FolderLock.Take(folder.Directory))
        {
            string message = Assert.Throws<BadInputException>(() => Train(folder, 1)).Message;
            Assert.Contains($"process {Environment.ProcessId} on {Environment.MachineName}", message, StringComparison.Ordinal);
            Assert.Contains(folder.Directory, message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', message);
        }

        Train(folder, 1);
        Assert.Throws<BadInputException>(() => FolderLock.Take(_folder["nowhere"]));
    }

    [Fact]
    public void ANewerCheckpointIsRefused()
    {
        RunFolder folder = RunFolder.Create(_folder["run"]);
        Train(folder, 1);
        Safetensors.Write(folder.StatePath, [], new Dictionary<string, string> { ["format_version"] = "2" });
        Assert.Contains(
            "newer program",
            Assert.Throws<BadInputException>(() => Train(folder, 1, resume: true)).Message,
            StringComparison.Ordinal
        );
    }

    private static void ReadAll(string path)
    {
        using TensorFile file = Safetensors.Open(path);
        Assert.Equal(
            ["first", "second", "none"],
            file.Tensors.OrderBy(tensor => tensor.Name == "none" ? 1 : 0).Select(tensor => tensor.Name)
        );
        foreach (StoredTensor tensor in file.Tensors)
        {
            tensor.Bytes();
        }
    }

    private (int Step, string? Damage) Train(RunFolder folder, int keep, bool resume = false)
    {
        using var engine = new CpuEngine(2);
        using var run = new TrainingRun(
            engine,
            TinyModels.Config,
            TinyModels.Training with
            {
                KeepCheckpoints = keep,
            },
            folder,
            _training,
            _validation,
            resume
        );
        int step = run.NextStep;
        Assert.True(run.Run());
        return (step, run.ResumeWarning);
    }
}
