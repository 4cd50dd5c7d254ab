using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Benchmarks;

/// <summary>How sparse the weights are: at the start of a run, in the middle of annealing, at its end.</summary>
internal enum BenchmarkPhase
{
    /// <summary>Every weight may be nonzero.</summary>
    Dense,

    /// <summary>Half of them.</summary>
    Mid,

    /// <summary>The size's own density.</summary>
    Sparse,
}

/// <summary>
/// The sizes that speed is quoted at; PAPER is the paper's own, TINY is for GPUs that are simulated. All have vocabulary 2048, context 256,
/// heads of 16 channels, bigram table, AbsTopK 1/4 at the paper's eight places, RMSNorm, GELU, no position embeddings.
/// </summary>
/// <param name="Name">TINY, S, M, L or PAPER.</param>
/// <param name="Channels">D.</param>
/// <param name="Layers">L.</param>
/// <param name="Sequences">B.</param>
/// <param name="Density">Nonzero share at the end of training.</param>
/// <param name="MinimumAlive">j.</param>
internal sealed record BenchmarkSize(string Name, int Channels, int Layers, int Sequences, double Density, int MinimumAlive)
{
    public const int Context = 256;

    public static IReadOnlyList<BenchmarkSize> All { get; } =
    [
        new("TINY", 64, 1, 1, 1.0 / 8, 4),
        new("S", 256, 4, 8, 1.0 / 64, 4),
        new("M", 512, 8, 8, 1.0 / 256, 2),
        new("L", 1024, 8, 4, 1.0 / 256, 4),
        new("PAPER", 2048, 8, 512, 1.0 / 512, 4),
    ];

    public ModelConfig Model =>
        new()
        {
            BlockSize = Context,
            VocabSize = 2048,
            NLayer = Layers,
            NHead = Channels / 16,
            DHeadField = 16,
            DModel = Channels,
            DMlpField = 4 * Channels,
            RmsNorm = true,
            Afrac = 0.25,
            AfracLoctypes = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_q,attn_k,attn_v",
            TiedUnembed = false,
            EnableBigramTable = true,
            LearnableBigramTable = true,
        };

    /// <param name="phase">At which density.</param>
    /// <param name="parts">Equal parts of a batch, computed one after the other.</param>
    public TrainingConfig Training(BenchmarkPhase phase, int parts = 1) =>
        new TrainingConfig
        {
            TotalTokens = 1_000_000_000,
            Lr = 0.002, // low enough for the loss on one batch to fall within a few steps at every size and density
            BatchSequences = Sequences,
            BatchParts = parts,
            ContextTokens = Context,
            Density = phase switch
            {
                BenchmarkPhase.Dense => 1,
                BenchmarkPhase.Mid => 0.5,
                _ => Density,
            },
            PfracAnneal = false,
            MinimumAlivePerNeuron = MinimumAlive,
        }.Resolved(Model);

    /// <summary>Frozen random weights at a phase's density.</summary>
    public ModelParameters RandomWeights(IComputeEngine engine, BenchmarkPhase phase)
    {
        var parameters = new ModelParameters(engine, Model);
        parameters.Initialise(1);
        using var sparsity = new WeightSparsity(parameters, Training(phase), lastStep: 1);
        Parameter[] cut =
        [
            .. parameters.All.Where(parameter =>
                parameter.Spec.Shape.Count == 2 && sparsity.Kept(parameter.Spec, 0) < parameter.Spec.Length
            ),
        ];
        using WeightList weights = engine.ListWeights("weights", [.. cut.Select(parameter => parameter.Value)]);
        engine.KeepLargest(
            weights,
            [.. cut.Select(parameter => new WeightBudget(sparsity.Kept(parameter.Spec, 0), parameter.Spec.AliveAxis, MinimumAlive))]
        );
        return parameters;
    }
}
