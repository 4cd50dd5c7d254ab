using Sparsity.Core.Model;

namespace Sparsity.Core.Circuits;

/// <summary>
/// How tokens meet residual channels: what a token's embedding writes into a channel, and what a channel adds to a token's logit.
/// </summary>
internal sealed class StrongestTokens(ModelParameters parameters)
{
    private readonly int _channels = parameters.Config.DModel;
    private readonly float[] _embedding = parameters.Read(ParameterNames.Token);
    private readonly float[] _unembedding = parameters.Read(parameters.Unembedding.Spec.Name);
    private readonly float[] _norm = parameters.Read(ParameterNames.FinalNorm + ".weight");

    /// <summary>
    /// All tokens by what their embedding writes into a residual channel, most positive first; ties go to the lower token.
    /// </summary>
    public IReadOnlyList<(int Token, float Weight)> Writers(int channel) =>
        [
            .. Enumerable
                .Range(0, Vocabulary)
                .Select(token => (token, _embedding[(token * _channels) + channel]))
                .OrderByDescending(entry => entry.Item2)
                .ThenBy(entry => entry.token),
        ];

    /// <summary>Tokens.</summary>
    public int Vocabulary => _embedding.Length / _channels;

    /// <summary>Residual channels.</summary>
    public int Channels => _channels;

    /// <summary>The tokens that write a residual channel at all, by token.</summary>
    public IEnumerable<(int Token, float Weight)> Nonzero(int channel)
    {
        for (int token = 0; token < Vocabulary; token++)
        {
            float weight = _embedding[(token * _channels) + channel];
            if (weight != 0)
            {
                yield return (token, weight);
            }
        }
    }

    /// <summary>
    /// The direct weight of a residual channel in a token's logit: final norm times unembedding. The norm's division by the residual's size
    /// is left out.
    /// </summary>
    public float Readout(int channel, int token) => _norm[channel] * _unembedding[(token * _channels) + channel];
}
