using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Viewer;

/// <param name="Has">Kinds of further documents there are of this circuit.</param>
/// <param name="Model">Null where the model is not found; then there is no readout and no channels either.</param>
/// <param name="Channels">By residual channel: which tokens write it.</param>
internal sealed record CircuitDocument(
    Circuit Circuit,
    IReadOnlyList<string> Has,
    ModelShape? Model,
    Readout? Readout,
    IReadOnlyDictionary<string, ChannelTokens>? Channels
);

/// <param name="Activations">
/// By node: for each pair the activations in the first prompt and in the second. Queries and keys come with the keys and queries of their
/// channels, also where these are not in the circuit.
/// </param>
/// <param name="Heads">Patterns of the first pairs, of as many as a page has room for.</param>
internal sealed record PromptsDocument(
    IReadOnlyList<PromptTokens> Pairs,
    IReadOnlyDictionary<Node, IReadOnlyList<double[][]>> Activations,
    IReadOnlyList<HeadPatterns> Heads
);

internal sealed record PromptTokens(IReadOnlyList<string> First, IReadOnlyList<string> Second, string AnswerA, string AnswerB);

internal sealed record ModelShape(int NLayer, int NHead, int DHead, int DModel);

/// <param name="Share">Share of the task's pairs that have these answers.</param>
internal sealed record Readout(IReadOnlyList<Answer> Answers, double Share, IReadOnlyList<ChannelReadout> Channels);

internal sealed record Answer(int Token, string Text);

internal sealed record ChannelReadout(int Channel, IReadOnlyList<float> Weights);

internal sealed record ChannelTokens(IReadOnlyList<ChannelToken> Top, IReadOnlyList<ChannelToken> Bottom);

internal sealed record ChannelToken(string Token, float Weight);
