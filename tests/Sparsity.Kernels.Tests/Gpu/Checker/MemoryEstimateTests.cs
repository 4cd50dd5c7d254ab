extern alias checker;
using checker::Sparsity.Kernels.Gpu;

using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>What an engine that only counts says beforehand, against what one that computes takes.</summary>
public class MemoryEstimateTests
{
    /// <summary>To the byte, sums over splits and parts and the lists of sparse matrices included.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void TrainingTakesWhatIsEstimated(int parts)
    {
        foreach (ModelConfig model in new[] { TinyModels.Config, (TinyModels.Config with { DPosEmb = 4, Afrac = null }).Validated() })
        {
            TrainingConfig training = (
                TinyModels.Training with
                {
                    Pfrac = null,
                    Density = 0.12,
                    MinimumAlivePerNeuron = 1,
                    BatchParts = parts,
                }
            ).Resolved(model);
            using var engine = (GpuEngine)Engines.Create("gpu kernels under the checker");
            var estimate = MemoryEstimate.For(engine, model, training);
            Assert.Equal(0, engine.AllocatedBytes);
            using var trainer = new Trainer(engine, model, training);
            Assert.Equal(estimate.Total - estimate.Workspace, engine.AllocatedBytes);
            trainer.Initialise();
            int[] batch = [.. TinyModels.Tokens(36, 8)];
            for (int step = training.LastStep() - 4; step <= training.LastStep(); step++)
            {
                trainer.Step(step, batch);
            }

            ModelStatistics.Of(trainer.Parameters);
            Assert.Equal(estimate.Total, engine.PeakBytes);
        }
    }

    /// <summary>
    /// Means, mask training, evaluation, and a pass over pretraining text while the search is still there, as the survey of a circuit's
    /// activations has it.
    /// </summary>
    [Fact]
    public void PruningTakesNoMoreThanIsEstimated()
    {
        PruningConfig config = new()
        {
            Steps = 2,
            BatchPairs = 3,
            MaxTokens = 12,
            SelectionPairs = 3,
            TestPairs = 3,
            KCoef = [1e-3],
        };
        const int Context = 6;
        using var engine = (GpuEngine)Engines.Create("gpu kernels under the checker");
        long estimate = PruningMemory.BytesOf(engine, TinyModels.Config, config, Context, withControls: false);
        Assert.True(PruningMemory.BytesOf(engine, TinyModels.Config, config, Context, withControls: true) > estimate);
        Assert.Equal(0, engine.AllocatedBytes);
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
        var model = new Transformer(parameters);
        float[] means = MeanActivations.Measure(model, new NodeLayout(TinyModels.Config), TinyModels.Tokens(200, 3), Context, 1, 1);
        using var evaluator = new CircuitEvaluator(model, means, config);
        using var search = new CircuitSearch(evaluator);
        TokenizedPair[] pairs = [.. Enumerable.Range(0, 3).Select(i => new TokenizedPair(Prompt(12, i), Prompt(5, i), 11, 12))];
        search.TrainMasks(pairs);
        evaluator.Loss(NodeSet.Empty(evaluator.Layout), pairs);
        using ForwardState text = model.CreateForwardState(16, Context);
        model.Forward(text);
        Assert.InRange(engine.PeakBytes, 0.9 * estimate, estimate);
    }

    /// <summary>Memory for the longest prompts serves all others, and each length has the numbers that it has by itself.</summary>
    [Fact]
    public void PromptsOfAllLengthsShareTheMemoryOfTheLongest()
    {
        using var engine = (GpuEngine)Engines.Create("gpu kernels under the checker");
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
        var model = new Transformer(parameters);
        var layout = new NodeLayout(TinyModels.Config);
        using var masked = new MaskedRunner(model, layout, new float[layout.Count], 2, 12);
        (double[] Differences, float[] Gradient) longest = Run(masked, layout, 11);
        long taken = engine.AllocatedBytes;
        foreach (int length in new[] { 3, 7, 11, 2 })
        {
            var shared = Run(masked, layout, length);
            Assert.Equal(taken, engine.AllocatedBytes);
            using var own = new MaskedRunner(model, layout, new float[layout.Count], 2, 12);
            var alone = Run(own, layout, length);
            Assert.Equal(alone.Differences, shared.Differences);
            Comparison.SameBits(alone.Gradient, shared.Gradient, $"{length} tokens");
            Assert.True(engine.AllocatedBytes > taken);
        }

        Assert.Contains(longest.Gradient, value => value != 0);
    }

    /// <summary>A device with less memory takes fewer prompts at a time, whatever else is on it.</summary>
    [Fact]
    public void PassesAreSplitByTheDevicesMemory()
    {
        Assert.Equal(64, PairsOn(long.MaxValue / 64));
        int some = PairsOn(8L << 20);
        Assert.InRange(some, 2, 63);
        Assert.InRange(PairsOn(4L << 20), 1, some - 1);
        Assert.Equal(1, PairsOn(1));

        static int PairsOn(long bytes)
        {
            using var engine = new GpuEngine(new GpuDevice(null, null, bytes, 32, 0), "gpu", "counted");
            using var parameters = new ModelParameters(engine, TinyModels.Config);
            return PruningMemory.PairsAtOnce(new Transformer(parameters), 12, 64);
        }
    }

    /// <summary>
    /// A model of the paper's width with 64 pairs of 256 tokens a step, which would take 180 GB at once, fits into 80 GiB, controls and
    /// all.
    /// </summary>
    [Fact]
    public void PruningAWideModelFitsOnALargeDevice()
    {
        const long Device = 80L << 30;
        ModelConfig model = new()
        {
            BlockSize = 256,
            VocabSize = 2048,
            NLayer = 8,
            NHead = 128,
            DHeadField = 16,
            DModel = 2048,
            DMlpField = 8192,
            RmsNorm = true,
            Afrac = 0.25,
            AfracLoctypes = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_q,attn_k,attn_v",
            TiedUnembed = false,
            EnableBigramTable = true,
        };
        using var engine = new GpuEngine(new GpuDevice(null, null, Device, 32, 0), "gpu", "counted");
        var config = new PruningConfig { BatchPairs = 64, MaxTokens = 256 };
        Assert.InRange(PruningMemory.BytesOf(engine, model, config, 256, withControls: false), 10L << 30, Device);
        Assert.InRange(PruningMemory.BytesOf(engine, model, config, 256, withControls: true), 20L << 30, Device);
    }

    private static (double[] Differences, float[] Gradient) Run(MaskedRunner masked, NodeLayout layout, int length)
    {
        float[] mask = [.. Enumerable.Range(0, layout.Count).Select(i => i % 5 == 0 ? 0f : 1f)];
        TokenizedPair[] pairs = [new(Prompt(length, 1), Prompt(1, 2), 11, 12), new(Prompt(length - 1, 3), Prompt(length, 4), 11, 20)];
        var gradient = new float[layout.Count];
        masked.LossAndMaskGradient(mask, pairs, TaskLoss.Binary, gradient);
        return (masked.Runner.Differences(pairs).ByPrompt(), gradient);
    }

    private static int[] Prompt(int length, int seed) => [.. TinyModels.Tokens(length, (ulong)seed)];
}
