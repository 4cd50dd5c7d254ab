using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Training;

public sealed class TrainingRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ushort[] _training = TinyModels.Tokens(4000, 1);
    private readonly ushort[] _validation = TinyModels.Tokens(400, 2);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AResumedRunEqualsOneNeverStopped()
    {
        RunFolder whole = Train("whole", threads: 2);
        RunFolder parts = RunFolder.Create(_folder["parts"]);
        using (var stop = new CancellationTokenSource())
        using (var engine = new CpuEngine(1))
        using (var run = new TrainingRun(engine, TinyModels.Config, TinyModels.Training, parts, _training, _validation))
        {
            Assert.False(run.Run(metrics => StopAt(17, metrics, stop), stop.Token));
            Assert.Equal(18, run.NextStep);
        }

        using (var engine = new CpuEngine(3))
        using (var run = new TrainingRun(engine, TinyModels.Config, TinyModels.Training, parts, _training, _validation, resume: true))
        {
            Assert.Equal(18, run.NextStep);
            Assert.True(run.Run());
        }

        Assert.Equal(File.ReadAllBytes(whole.ModelPath), File.ReadAllBytes(parts.ModelPath));
        Assert.Equal(File.ReadAllBytes(whole.StatePath), File.ReadAllBytes(parts.StatePath));
        Assert.Equal(MetricsWithoutTimes(whole), MetricsWithoutTimes(parts));
        Assert.Equal(41, MetricsWithoutTimes(parts).Count);
    }

    [Fact]
    public void LinesWrittenAfterTheCheckpointAreNotRepeated()
    {
        RunFolder whole = Train("whole", threads: 2);
        RunFolder killed = RunFolder.Create(_folder["killed"]);
        using (var stop = new CancellationTokenSource())
        using (var engine = new CpuEngine(2))
        using (var run = new TrainingRun(engine, TinyModels.Config, TinyModels.Training, killed, _training, _validation))
        {
            run.Run(metrics => StopAt(20, metrics, stop), stop.Token);
        }

        File.AppendAllText(killed.MetricsPath, "{\"step\": 21, \"loss\": 1}\n{\"step\": 22, \"lo");
        using (var engine = new CpuEngine(2))
        using (var run = new TrainingRun(engine, TinyModels.Config, TinyModels.Training, killed, _training, _validation, resume: true))
        {
            run.Run();
        }

        Assert.Equal(MetricsWithoutTimes(whole), MetricsWithoutTimes(killed));
    }

    [Fact]
    public void TheRunEndsAtTheTarget()
    {
        RunFolder folder = Train("run", threads: 2);
        using var engine = new CpuEngine(2);
        using ModelParameters parameters = folder.ReadModel(engine);
        foreach (Parameter parameter in parameters.All.Where(parameter => parameter.Spec.AliveAxis is not null))
        {
            Assert.Equal((int)(0.25 * parameter.Spec.Length), engine.CountNonzero(parameter.Value));
        }
    }

    [Fact]
    public void AnImpossibleMinimumIsRefusedBeforeTheFirstStep()
    {
        using var engine = new CpuEngine(1);
        TrainingConfig impossible = TinyModels.Training with { Pfrac = 0.001, MinimumAlivePerNeuron = 8 };
        var failure = Assert.Throws<BadInputException>(() => new Trainer(engine, TinyModels.Config, impossible));
        Assert.Contains("minimum_alive_per_neuron", failure.Message, StringComparison.Ordinal);
        Assert.Contains("c_attn.weight", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ANumberThatIsNotFiniteStopsTheRunNamesItAndKeepsTheCheckpoint()
    {
        RunFolder folder = Train("run", threads: 1);
        byte[] before = File.ReadAllBytes(folder.ModelPath);
        using var engine = new CpuEngine(1);
        using var trainer = new Trainer(engine, TinyModels.Config, TinyModels.Training);
        trainer.Initialise();
        string name = ParameterNames.Layer(1) + "mlp.c_fc.weight";
        float[] values = trainer.Parameters.Read(name);
        values[3] = float.NaN;
        engine.Write(trainer.Parameters[name].Value, values);
        var failure = Assert.Throws<NumericalException>(() => trainer.Step(12, Enumerable.Range(0, 36).Select(i => i % 29).ToArray()));
        Assert.Contains("step 12", failure.Message, StringComparison.Ordinal);
        Assert.Contains(name, failure.Message, StringComparison.Ordinal);
        Assert.Contains("entry 3", failure.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(folder.ModelPath));
    }

    [Fact]
    public void ASkippedStepChangesNothingIsCountedAndOutlivesAResume()
    {
        RunFolder whole = RunFolder.Create(_folder["whole"]);
        RunFolder parts = RunFolder.Create(_folder["parts"]);
        TrainingConfig skip = TinyModels.Training with { OnNan = NonFinite.Skip };
        var reasons = new List<string>();
        using (var engine = new CpuEngine(2))
        using (var run = new TrainingRun(new FaultyTrainer(engine, skip), whole, _training, _validation))
        {
            Assert.True(run.Run(onSkip: reasons.Add));
            Assert.Equal(2, run.SkippedSteps);
        }

        Assert.Equal(2, reasons.Count);
        Assert.Contains("step 5:", reasons[0], StringComparison.Ordinal);
        Assert.Contains("mlp.c_fc.weight, entry 1", reasons[0], StringComparison.Ordinal);
        using (var stop = new CancellationTokenSource())
        using (var engine = new CpuEngine(1))
        using (var run = new TrainingRun(new FaultyTrainer(engine, skip), parts, _training, _validation))
        {
            run.Run(metrics => StopAt(8, metrics, stop), stop.Token);
        }

        using (var engine = new CpuEngine(1))
        using (var run = new TrainingRun(new FaultyTrainer(engine, skip), parts, _training, _validation, resume: true))
        {
            Assert.True(run.Run());
            Assert.Equal(2, run.SkippedSteps);
        }

        Assert.Equal(File.ReadAllBytes(whole.StatePath), File.ReadAllBytes(parts.StatePath));
        List<string> lines = MetricsWithoutTimes(parts);
        Assert.Equal(MetricsWithoutTimes(whole), lines);
        Assert.Contains("\"skipped_steps\":1", lines[5], StringComparison.Ordinal);
        Assert.DoesNotContain("\"loss\":", lines[5], StringComparison.Ordinal);
        Assert.Contains("\"skipped_steps\":2", lines[40], StringComparison.Ordinal);
        Assert.DoesNotContain("skipped_steps", lines[4], StringComparison.Ordinal);
        using (var engine = new CpuEngine(1))
        using (
            var run = new TrainingRun(
                new FaultyTrainer(engine, TinyModels.Training),
                RunFolder.Create(_folder["stopped"]),
                _training,
                _validation
            )
        )
        {
            Assert.Contains("step 5:", Assert.Throws<NumericalException>(() => run.Run()).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void AWeightThatIsNotFiniteAfterAnUpdateStopsEvenARunThatSkips()
    {
        using var engine = new CpuEngine(1);
        TrainingConfig wild = TinyModels.Training with
        {
            OnNan = NonFinite.Skip,
            Lr = 1e5,
            LrWarmupFrac = null,
            WeightDecay = 1e35,
            Pfrac = null,
        };
        using var run = new TrainingRun(
            new Trainer(engine, TinyModels.Config, wild),
            RunFolder.Create(_folder["wild"]),
            _training,
            _validation
        );
        var failure = Assert.Throws<NumericalException>(() => run.Run());
        Assert.Contains("step 0: a weight is not finite", failure.Message, StringComparison.Ordinal);
        Assert.Contains("First: the weight of transformer.", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>At steps 5 and 9 one entry of a gradient becomes infinite.</summary>
    private sealed class FaultyTrainer(IComputeEngine engine, TrainingConfig config) : Trainer(engine, TinyModels.Config, config)
    {
        public override (double Loss, double GradientRms) Step(int step, ReadOnlySpan<int> tokens)
        {
            if (step is 5 or 9)
            {
                WeightTensor gradient = Parameters[ParameterNames.Layer(0) + "mlp.c_fc.weight"].Gradient!;
                var values = new float[gradient.Length];
                values[1] = float.PositiveInfinity;
                Engine.Write(gradient, values);
            }

            return base.Step(step, tokens);
        }
    }

    [Fact]
    public void TooLittleDataIsRefused()
    {
        using var engine = new CpuEngine(1);
        Assert.Throws<BadInputException>(() =>
            new TrainingRun(
                engine,
                TinyModels.Config,
                TinyModels.Training,
                RunFolder.Create(_folder["x"]),
                _training.AsMemory(0, 11),
                _validation
            )
        );
        Assert.Throws<BadInputException>(() =>
            new TrainingRun(
                engine,
                TinyModels.Config,
                TinyModels.Training,
                RunFolder.Create(_folder["y"]),
                _training,
                _validation.AsMemory(0, 35)
            )
        );
    }

    [Fact]
    public void AFolderThatHoldsARunIsNotOverwritten()
    {
        RunFolder folder = Train("run", threads: 1);
        Assert.Throws<BadInputException>(() => RunFolder.Create(folder.Directory));
    }

    private static void StopAt(int step, TrainingMetrics metrics, CancellationTokenSource stop)
    {
        if (metrics.Step == step)
        {
            stop.Cancel();
        }
    }

    private static List<string> MetricsWithoutTimes(RunFolder folder) =>
        [
            .. File.ReadLines(folder.MetricsPath)
                .Select(line => System.Text.RegularExpressions.Regex.Replace(line, "\"tokens_per_second\":[^,]*,?", "")),
        ];

    private RunFolder Train(string name, int threads)
    {
        RunFolder folder = RunFolder.Create(_folder[name]);
        using var engine = new CpuEngine(threads);
        using var run = new TrainingRun(engine, TinyModels.Config, TinyModels.Training, folder, _training, _validation);
        Assert.True(run.Run());
        return folder;
    }
}
