using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// What becomes of the answers when what lies outside a circuit is neither whole nor frozen. A circuit that leaves out half of a pair whose
/// effects cancel has a low loss while all of the rest is frozen, and while none is; here it fails. A node's gate r is one number for the
/// whole batch and all tokens: its activation is replacement + r * (activation - replacement). The circuit's gates are 1. Losses are task
/// losses, divergences those of the answers from the full model's (<see cref="LogitDifferences.DivergenceFrom"/>); in nats.
/// </summary>
/// <param name="LossOfParts">With random parts of the rest whole and the others frozen, from few to nearly all of them; mean over
/// parts.</param>
/// <param name="LossOfPartsHigh">What 9 of 10 parts stay below (nearest rank).</param>
/// <param name="DivergenceOfParts">Mean over parts.</param>
/// <param name="LossWithoutOne">
/// The same for the full model with one node of the rest frozen: the largest over the nodes that matter most to first order.
/// </param>
/// <param name="WithoutOne">That node; null where nothing lies outside.</param>
/// <param name="DivergenceRandom">With gates drawn from [0, 1]; mean over draws.</param>
/// <param name="LossAdversarial">With gates sought by gradient ascent on the divergence.</param>
/// <param name="DivergenceAdversarial">The same.</param>
/// <param name="DivergenceAdversarialSites">With gates sought at a random half of the locations, everything else outside whole.</param>
internal sealed record PartialAblation(
    double LossOfParts,
    double LossOfPartsHigh,
    double DivergenceOfParts,
    double LossWithoutOne,
    Node? WithoutOne,
    double DivergenceRandom,
    double LossAdversarial,
    double DivergenceAdversarial,
    double DivergenceAdversarialSites
)
{
    private const int Parts = 32;
    private const int NodesFrozen = 32;
    private const int Draws = 8;
    private const int AscentSteps = 20;
    private const float AscentStep = 0.1f;

    /// <summary>Measures all of it; some 150 passes over one batch.</summary>
    /// <param name="evaluator">Of the model.</param>
    /// <param name="nodes">The circuit.</param>
    /// <param name="pairs">The prompts; as many as a batch takes are used.</param>
    public static PartialAblation Measure(CircuitEvaluator evaluator, NodeSet nodes, IReadOnlyList<TokenizedPair> pairs)
    {
        MaskedRunner masked = evaluator.Masked;
        NodeLayout layout = evaluator.Layout;
        TokenizedPair[] batch = [.. pairs.Take(masked.Runner.Pairs)];
        LogitDifferences model = evaluator.Differences(NodeSet.All(layout), batch);
        int[] outside = [.. nodes.Complement().Numbers];

        var losses = new List<double>();
        var divergences = new List<double>();
        for (int part = 0; part < Parts; part++)
        {
            double share = (part + 0.5) / Parts;
            var random = RandomSource.For(evaluator.Config.Seed, "parts of the rest", part);
            LogitDifferences answers = With(_ => random.NextBool(share) ? 1 : 0);
            losses.Add(LossOf(answers));
            divergences.Add(answers.DivergenceFrom(model));
        }

        double randomGates = Enumerable
            .Range(0, Draws)
            .Average(draw =>
            {
                var random = RandomSource.For(evaluator.Config.Seed, "random gates of the rest", draw);
                return With(_ => (float)random.NextDouble()).DivergenceFrom(model);
            });

        // To first order, freezing a node of the whole model changes the loss by its attribution.
        double[] scores = Attribution.Scores(evaluator, batch, PruningMethod.Attribution);
        (int Node, double Loss)[] frozen =
        [
            .. outside
                .OrderByDescending(node => scores[node])
                .ThenBy(node => node)
                .Take(NodesFrozen)
                .Select(node => (node, LossOf(With(other => other == node ? 0 : 1)))),
        ];
        (int Node, double Loss) worst = frozen.Length == 0 ? (-1, evaluator.Loss(nodes, batch)) : frozen.MaxBy(entry => entry.Loss);

        var coin = RandomSource.For(evaluator.Config.Seed, "attacked sites");
        HashSet<Site> attackedSites = [.. layout.Sites.Where(_ => coin.NextBool())];
        LogitDifferences attacked = Attack(_ => true);
        return new PartialAblation(
            losses.Average(),
            Interchange.NineOfTen(losses),
            divergences.Average(),
            worst.Loss,
            worst.Node < 0 ? null : layout[worst.Node],
            randomGates,
            LossOf(attacked),
            attacked.DivergenceFrom(model),
            Attack(node => attackedSites.Contains(layout[node].Site)).DivergenceFrom(model)
        );

        LogitDifferences With(Func<int, float> gate)
        {
            float[] gates = nodes.ToMask();
            foreach (int node in outside)
            {
                gates[node] = gate(node);
            }

            masked.Gates.SetMask(gates);
            return masked.Runner.AllDifferences(batch);
        }

        double LossOf(LogitDifferences answers) =>
            evaluator.Config.CircuitLoss == TaskLoss.Binary
                ? answers.BinaryLoss()
                : masked.Runner.MeanLoss(batch, evaluator.Config.CircuitLoss); // with the gates of the last pass

        // Signs of the gradient alone, as gates differ in how much they matter; clamped to [0, 1] after each step.
        LogitDifferences Attack(Func<int, bool> attackable)
        {
            var random = RandomSource.For(evaluator.Config.Seed, "adversarial gates of the rest");
            float[] gates = nodes.ToMask();
            int[] attacked = [.. outside.Where(attackable)];
            foreach (int node in outside)
            {
                float start = (float)random.NextDouble();
                gates[node] = attackable(node) ? start : 1;
            }

            var gradient = new float[gates.Length];
            for (int step = 0; step < AscentSteps; step++)
            {
                masked.Gates.SetMask(gates);
                masked.Runner.Backward(masked.Runner.Differences(batch).DivergenceGradient(model));
                masked.Gates.TakeMaskGradient(gradient);
                foreach (int node in attacked)
                {
                    gates[node] = Math.Clamp(gates[node] + (AscentStep * Math.Sign(gradient[node])), 0, 1);
                }
            }

            masked.Gates.SetMask(gates);
            return masked.Runner.AllDifferences(batch);
        }
    }
}
