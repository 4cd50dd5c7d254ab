using Sparsity.Core.Tasks;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// A size at which figures are made. All figures of a scale train the same kind of models, so that those made in one folder share them.
/// </summary>
/// <param name="Level">From 0; each has more training tokens than the one before.</param>
/// <param name="Layers">L.</param>
/// <param name="Width">D of sparse models.</param>
/// <param name="Tokens">That each model is trained on.</param>
/// <param name="Seeds">How many models of each kind.</param>
/// <param name="MaskSteps">Of mask training.</param>
/// <param name="Prompts">Pairs of prompts to choose circuits on; twice as many to report them on.</param>
/// <param name="TargetLosses">Falling.</param>
/// <param name="Megabytes">Of synthetic text.</param>
internal sealed record ReproductionScale(
    int Level,
    int Layers,
    int Width,
    long Tokens,
    int Seeds,
    int MaskSteps,
    int Prompts,
    IReadOnlyList<double> TargetLosses,
    double Megabytes
)
{
    private static readonly double[] FewTargets = [0.5, 0.15];
    private static readonly double[] SomeTargets = [0.5, 0.15, 0.05];
    private static readonly double[] AllTargets = [0.5, 0.3, 0.15, 0.05, 0.02, 0.01];

    /// <summary>From seconds on a laptop to days on GPUs.</summary>
    public static IReadOnlyList<ReproductionScale> All { get; } =
    [
        new(0, 1, 32, 60_000, 2, 20, 16, FewTargets, 1),
        new(1, 2, 64, 750_000, 3, 100, 48, SomeTargets, 3),
        new(2, 2, 128, 3_000_000, 3, 120, 64, AllTargets, 12),
        new(3, 2, 128, 6_000_000, 3, 300, 128, AllTargets, 24),
        new(4, 2, 256, 20_000_000, 3, 300, 128, AllTargets, 60),
        new(5, 4, 256, 60_000_000, 5, 500, 128, AllTargets, 200),
        new(6, 4, 512, 200_000_000, 5, 1000, 256, AllTargets, 600),
    ];

    /// <summary>Average nonzero weights of a row of a sparse model's matrices: twice what minimum alive asks for, at any width.</summary>
    public static int WeightsPerRow => 2 * PlannedModel.MinimumAlive;

    private const int FewTasks = 8;

    private const int FirstWithAllTasks = 3;

    /// <summary>Names of the tasks to prune to: the first of the catalogue, or all.</summary>
    public IReadOnlyList<string> Tasks =>
        [.. TaskCatalogue.All.Take(Level < FirstWithAllTasks ? FewTasks : int.MaxValue).Select(task => task.Name)];

    /// <summary>The sparse model of a seed.</summary>
    public PlannedModel Sparse(ulong seed) => Model((double)WeightsPerRow / Width, seed);

    /// <summary>A model of this scale's width.</summary>
    public PlannedModel Model(double density, ulong seed) => new(Layers, Width, density, Tokens, seed);
}
