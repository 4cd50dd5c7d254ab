using Sparsity.Core.Circuits;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Pruning;

/// <summary>Measures what the nodes of a circuit do: <see cref="CircuitActivations"/>.</summary>
internal static class ActivationSurvey
{
    private const int Bins = 40;
    private const int TokensBefore = 15;
    private const int TokensAfter = 6;
    private const int ExamplesPerQuantile = 2;

    /// <summary>How far from the end the examples lie, in percent (the official viewer's quantiles).</summary>
    private static readonly double[] Percents = [0.1, 1, 10, 50];

    /// <param name="evaluator">Of the circuit's model and settings.</param>
    /// <param name="circuit">Found in that model.</param>
    /// <param name="prompts">The task's prompts.</param>
    /// <param name="tokenizer">Of the model.</param>
    /// <param name="pretraining">Pretraining tokens.</param>
    /// <param name="contextTokens">T of the windows.</param>
    public static CircuitActivations Measure(
        CircuitEvaluator evaluator,
        Circuit circuit,
        TaskPrompts prompts,
        TextTokenizer tokenizer,
        ReadOnlyMemory<ushort> pretraining,
        int contextTokens
    )
    {
        Node[] nodes = [.. circuit.Nodes.Select(node => node.Node)];
        (IReadOnlyList<Binarisation> binarisations, BinarisedLoss loss) = NodeBinarisation.Measure(
            evaluator,
            circuit.NodesIn(evaluator.Layout),
            prompts.Selection,
            prompts.Test
        );
        RecordedText text = RecordedText.OfPretraining(
            evaluator.Model,
            nodes,
            pretraining,
            contextTokens,
            evaluator.Config.MeanBatches,
            evaluator.Config.Seed
        );
        evaluator.Masked.Keep(NodeSet.All(evaluator.Layout));
        RecordedText task = RecordedText.OfPrompts(evaluator, nodes, prompts.Test);
        return new CircuitActivations
        {
            Task = circuit.Task,
            ModelFingerprint = circuit.ModelFingerprint,
            ContextTokens = contextTokens,
            Binarised = new BinarisedLoss(Rounded(loss.Circuit), Rounded(loss.AllNodes)),
            Nodes =
            [
                .. circuit.Nodes.Select(
                    (node, i) =>
                        new NodeActivations(node.Node, Summary(text, i, tokenizer), Summary(task, i, tokenizer), Rounded(binarisations[i]))
                ),
            ],
        };
    }

    private static ActivationSummary Summary(RecordedText text, int node, TextTokenizer tokenizer)
    {
        List<float> values = text.Values[node];
        double mean = values.Average(value => (double)value);
        double minimum = values.Min();
        double maximum = values.Max();
        return new ActivationSummary(
            values.Count,
            Rounded(mean),
            Rounded(Math.Sqrt(values.Average(value => (value - mean) * (value - mean)))),
            Rounded(minimum),
            Rounded(maximum),
            Rounded(values.Count(value => value == 0) / (double)values.Count),
            ActivationHistogram.Of(values, Bins),
            Examples(text, values, tokenizer)
        );
    }

    /// <summary>Examples of one quantile come from rows of their own where there are such.</summary>
    private static List<ActivationExample> Examples(RecordedText text, List<float> values, TextTokenizer tokenizer)
    {
        int[] starts = new int[text.Rows.Count];
        for (int row = 1; row < starts.Length; row++)
        {
            starts[row] = starts[row - 1] + text.Rows[row - 1].Length;
        }

        int[] descending = [.. Enumerable.Range(0, values.Count).OrderByDescending(i => values[i]).ThenBy(i => i)];
        var examples = new List<ActivationExample>();
        foreach (ActivationEnd end in Enum.GetValues<ActivationEnd>())
        {
            foreach (double percent in Percents)
            {
                var used = new HashSet<int>();
                for (int rank = (int)(percent / 100 * (values.Count - 1)); rank < values.Count && used.Count < ExamplesPerQuantile; rank++)
                {
                    int place = descending[end == ActivationEnd.Top ? rank : values.Count - 1 - rank];
                    int row = Array.BinarySearch(starts, place);
                    row = row >= 0 ? row : ~row - 1;
                    if (used.Add(row))
                    {
                        examples.Add(Example(end, percent, text.Rows[row], place - starts[row], starts[row]));
                    }
                }
            }
        }

        return examples;

        ActivationExample Example(ActivationEnd end, double percent, int[] row, int column, int start)
        {
            int first = Math.Max(0, column - TokensBefore);
            int[] shown = [.. Enumerable.Range(first, Math.Min(row.Length, column + TokensAfter + 1) - first)];
            return new ActivationExample(
                end,
                percent,
                column - first,
                [.. shown.Select(i => tokenizer.Describe(row[i]))],
                [.. shown.Select(i => Rounded(values[start + i]))]
            );
        }
    }

    private static Binarisation Rounded(Binarisation given) =>
        new(Rounded(given.Threshold), Rounded(given.Low), Rounded(given.High), Rounded(given.Loss));

    /// <summary>Five significant digits.</summary>
    private static double Rounded(double value) => SignificantDigits.Rounded(value, 5);
}
