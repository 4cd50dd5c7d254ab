namespace Sparsity.Core.Pruning;

/// <summary>The same search on something that has no circuit to find, or by another method; losses in nats on test prompts.</summary>
/// <param name="Name">What was searched, or how.</param>
/// <param name="MeetsTarget">Whether the circuit found meets the target on the prompts it was chosen on and on the test prompts.</param>
/// <param name="Loss">Of the circuit.</param>
/// <param name="LossFullModel">Of the whole model.</param>
/// <param name="EdgesRatio">Its edges over those of the real circuit; null if that has none.</param>
internal sealed record ControlSearch(
    string Name,
    bool MeetsTarget,
    int Nodes,
    int Edges,
    double Loss,
    double LossFullModel,
    double? EdgesRatio
);

/// <summary>One question of the verdict.</summary>
/// <param name="Question">What is asked.</param>
/// <param name="Passed">Whether the answer speaks for the circuit.</param>
/// <param name="Numbers">What it was decided on.</param>
internal sealed record FaithfulnessCheck(string Question, bool Passed, string Numbers);
