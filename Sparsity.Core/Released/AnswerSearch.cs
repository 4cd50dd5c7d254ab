using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Released;

/// <summary>
/// The two answers of a task, found from a model's logits: the pair of tokens at which the task loss of the whole model is the one that was
/// stored. Where several pairs have it, the
/// one that the model finds most probable.
/// </summary>
internal sealed class AnswerSearch
{
    // The 256 tokens that are most probable in a half are enough: an answer that a model does not think of is no task it can do.
    private const int MostCandidates = 256;

    private readonly float[][] _first;
    private readonly float[][] _second;

    /// <param name="model">The whole model.</param>
    /// <param name="prompts">First all of one answer, then all of the other.</param>
    public AnswerSearch(Core.Model.Transformer model, IReadOnlyList<int[]> prompts)
    {
        int half = prompts.Count / 2;
        int longest = prompts.Max(prompt => prompt.Length);
        _first = new float[half][];
        _second = new float[half][];
        using var runner = new TaskRunner(model, PruningMemory.PairsAtOnce(model, longest, half), longest);
        foreach (int[] batch in Enumerable.Range(0, half).Chunk(runner.Pairs))
        {
            runner.Differences([.. batch.Select(i => new TokenizedPair(prompts[i], prompts[i + half], 0, 0))]);
            for (int pair = 0; pair < batch.Length; pair++)
            {
                _first[batch[pair]] = runner.Logits(TaskRunner.FirstRow(pair)).ToArray();
                _second[batch[pair]] = runner.Logits(TaskRunner.SecondRow(pair)).ToArray();
            }
        }
    }

    /// <summary>
    /// How far apart two losses may be and still count as the same: what other arithmetic and a few other prompts may do.
    /// </summary>
    public static double Tolerance(double loss) => 5e-5 + (0.005 * Math.Abs(loss));

    /// <summary>Task loss in nats per prompt if these were the answers.</summary>
    public double Loss(int a, int b) =>
        new LogitDifferences([
            .. _first.Zip(_second, (first, second) => ((double)(first[a] - first[b]), (double)(second[a] - second[b]))),
        ]).BinaryLoss();

    /// <summary>The pair whose loss is the one wanted; null if there is none.</summary>
    /// <param name="loss">In nats per prompt.</param>
    public (int A, int B)? Find(double loss)
    {
        (int Token, double LogProbability)[] first = Candidates(_first);
        (int Token, double LogProbability)[] second = Candidates(_second);
        (int A, int B)? best = null;
        double highest = double.NegativeInfinity;
        foreach ((int a, double probabilityOfA) in first)
        {
            foreach ((int b, double probabilityOfB) in second)
            {
                if (a != b && probabilityOfA + probabilityOfB > highest && Math.Abs(Loss(a, b) - loss) <= Tolerance(loss))
                {
                    (best, highest) = ((a, b), probabilityOfA + probabilityOfB);
                }
            }
        }

        return best;
    }

    /// <summary>The token that is most probable after most prompts of each half.</summary>
    public (int A, int B) Likeliest()
    {
        return (Most(_first), Most(_second));

        static int Most(float[][] rows) =>
            rows.GroupBy(row => Array.IndexOf(row, row.Max()))
                .OrderByDescending(group => group.Count())
                .ThenBy(group => group.Key)
                .First()
                .Key;
    }

    /// <summary>By mean log probability, most probable first; ties go to the lower token.</summary>
    private static (int Token, double LogProbability)[] Candidates(float[][] rows)
    {
        var sums = new double[rows[0].Length];
        foreach (float[] row in rows)
        {
            double largest = row.Max();
            double normaliser = largest + Math.Log(row.Sum(logit => Math.Exp(logit - largest)));
            for (int token = 0; token < sums.Length; token++)
            {
                sums[token] += (row[token] - normaliser) / rows.Length;
            }
        }

        return
        [
            .. sums.Select((sum, token) => (token, sum))
                .OrderByDescending(entry => entry.sum)
                .ThenBy(entry => entry.token)
                .Take(MostCandidates),
        ];
    }
}
