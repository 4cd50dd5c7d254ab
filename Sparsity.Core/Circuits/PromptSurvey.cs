using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Circuits;

/// <summary>
/// What nodes do in a few prompts of a task, token by token, in the whole model. Numbers are rounded to four significant digits.
/// </summary>
/// <param name="Activations">By node: for each pair the activations at the tokens of the first prompt, and of the second.</param>
/// <param name="Heads">Every attention head that has one of the nodes.</param>
internal sealed record PromptSurvey(IReadOnlyDictionary<Node, IReadOnlyList<double[][]>> Activations, IReadOnlyList<HeadPatterns> Heads)
{
    private const int AttentionDecimals = 4; // less is not drawn

    /// <summary>Runs the prompts once.</summary>
    /// <param name="model">Frozen.</param>
    /// <param name="nodes">Of this model.</param>
    /// <param name="pairs">A few.</param>
    /// <param name="mostWeights">
    /// Patterns are given for the first pairs, as many as have no more weights than this together; always for the first one.
    /// </param>
    public static PromptSurvey Measure(
        Transformer model,
        IReadOnlyList<Node> nodes,
        IReadOnlyList<TokenizedPair> pairs,
        long mostWeights = long.MaxValue
    )
    {
        (int Layer, int Head)[] heads =
        [
            .. nodes
                .Where(node => node.Site.Kind.HeadPart() is not null)
                .Select(node => (node.Site.Layer, node.Channel / model.Config.DHead))
                .Distinct()
                .Order(),
        ];
        HashSet<Site> wanted =
        [
            .. nodes.Select(node => node.Site),
            .. heads.Select(head => new Site(head.Layer, SiteKind.AttnQ)),
            .. heads.Select(head => new Site(head.Layer, SiteKind.AttnK)),
        ];
        int[][] prompts = [.. TaskRunner.PromptsOf(pairs).Select(prompt => prompt.Tokens)];
        using var runner = new TaskRunner(model, pairs.Count, prompts.Max(prompt => prompt.Length));
        var recorder = new ActivationRecorder(model.Parameters.Engine, wanted.Contains);
        runner.Hooks.Add(recorder);
        runner.Differences(pairs);
        return new PromptSurvey(
            nodes.ToDictionary(
                node => node,
                IReadOnlyList<double[][]> (node) => [.. prompts.Select((prompt, row) => Values(node, prompt, row)).Chunk(2)]
            ),
            [
                .. heads.Select(head => new HeadPatterns(
                    head.Layer,
                    head.Head,
                    [
                        .. prompts
                            .Take(2 * PairsWithin(mostWeights))
                            .Select((prompt, row) => Pattern(head.Layer, head.Head, prompt, row))
                            .Chunk(2),
                    ]
                )),
            ]
        );

        int PairsWithin(long most)
        {
            long weights = 0;
            return Math.Max(1, pairs.TakeWhile(pair => (weights += heads.Length * (Half(pair.First) + Half(pair.Second))) <= most).Count());

            static long Half(int[] prompt) => (long)prompt.Length * (prompt.Length + 1) / 2;
        }

        double[] Values(Node node, int[] prompt, int row)
        {
            ReadOnlySpan<float> all = Row(node.Site, row, out int channels);
            var values = new double[prompt.Length];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = Rounded(all[(i * channels) + node.Channel]);
            }

            return values;
        }

        double[][] Pattern(int layer, int head, int[] prompt, int row)
        {
            ReadOnlySpan<float> query = Row(new Site(layer, SiteKind.AttnQ), row, out int channels);
            ReadOnlySpan<float> key = Row(new Site(layer, SiteKind.AttnK), row, out _);
            return AttentionWeights(
                query,
                key,
                channels,
                head * model.Config.DHead,
                model.Config.DHead,
                prompt.Length,
                SinkOf(model.Parameters, layer)?[head]
            );
        }

        // [T,C] of one prompt; T is that of the padded batch.
        ReadOnlySpan<float> Row(Site site, int row, out int channels)
        {
            channels = model.Config.ChannelsAt(site.Kind);
            float[] all = recorder.Activations[site];
            int length = all.Length / prompts.Length;
            return all.AsSpan(row * length, length);
        }
    }

    /// <summary>softmax(q k / sqrt(Dh)) over each token and those before it; a sink takes its share and is not shown.</summary>
    private static double[][] AttentionWeights(
        ReadOnlySpan<float> query,
        ReadOnlySpan<float> key,
        int channels,
        int first,
        int headChannels,
        int tokens,
        float? sink
    )
    {
        var rows = new double[tokens][];
        for (int t = 0; t < tokens; t++)
        {
            var scores = new double[t + 1];
            for (int s = 0; s <= t; s++)
            {
                for (int i = first; i < first + headChannels; i++)
                {
                    scores[s] += query[(t * channels) + i] * (double)key[(s * channels) + i];
                }

                scores[s] /= Math.Sqrt(headChannels);
            }

            double largest = Math.Max(scores.Max(), sink ?? double.NegativeInfinity);
            double sum = scores.Sum(score => Math.Exp(score - largest)) + (sink is { } logit ? Math.Exp(logit - largest) : 0);
            rows[t] = [.. scores.Select(score => Rounded(Math.Round(Math.Exp(score - largest) / sum, AttentionDecimals)))];
        }

        return rows;
    }

    private static float[]? SinkOf(ModelParameters parameters, int layer) =>
        parameters.Find($"{ParameterNames.Layer(layer)}attn.attn_imp.sink_logit") is { } sink ? parameters.Read(sink.Spec.Name) : null;

    private static double Rounded(double value) => SignificantDigits.Rounded(value, 4);
}

/// <summary>Where the tokens of each prompt look.</summary>
/// <param name="Patterns">For each pair, of the first prompt and of the second: row t holds the weights on tokens 0 to t. There may be
/// fewer than pairs.</param>
internal sealed record HeadPatterns(int Layer, int Head, IReadOnlyList<double[][][]> Patterns);
