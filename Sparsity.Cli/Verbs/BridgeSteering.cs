using System.Globalization;
using Sparsity.Cli.Report;
using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>
/// <c>bridge steer</c>: the dense model's answers while nodes of the sparse model are moved; steering.json, .csv and .html.
/// </summary>
internal static class BridgeSteering
{
    private const int BatchPairs = 32;
    private const int ReferenceBatches = 8;
    private const double LargestStrength = 1e6;

    public static int Run(BridgeVerb flags, IComputeEngine engine, CancellationToken stop)
    {
        double[] strengths = Strengths(flags);
        int random = AtLeastOne(flags.RandomDirections ?? 16, "--random", 100_000);
        ulong seed = flags.Seed ?? 1;
        using var opened = new OpenedBridges(
            BridgeVerb.Required(flags.Model, "steer", "--model DIR"),
            flags.Dense,
            engine,
            flags.Data,
            flags.Tokenizer
        );
        Transformer sparse = opened.Sparse.Model;
        Node[] nodes = [.. flags.Nodes.Select(name => ParseNode(name, sparse.Config))];
        if (nodes.Length == 0 || nodes.Distinct().Count() < nodes.Length)
        {
            throw new BadInputException(
                "bridge steer needs --node with one or more nodes, each once; 'sparsity circuit show' lists those of a circuit."
            );
        }

        int longest = Math.Min(sparse.Config.BlockSize, opened.Dense.Config.BlockSize);
        (string what, IReadOnlyList<TokenizedPair> pairs) = Pairs(flags, opened.Sparse.Tokenizer, longest, seed);
        TrainingConfig training = opened.Sparse.Training;
        var reference = new BatchSource(opened.Sparse.Data.Training, training.BatchSequences, training.ContextTokens);
        double[] ratios =
        [
            .. nodes.Select(node =>
                Steering.RmsRatio(
                    opened.Dense,
                    sparse,
                    Steering.LocationOf(node, sparse.Config),
                    reference,
                    ReferenceBatches,
                    training.BatchSequences,
                    training.ContextTokens,
                    seed
                )
            ),
        ];
        string? folder = flags.Out is null ? null : OutputFolder.Create(flags.Out);
        using var steering = new Steering(
            opened.Dense,
            sparse,
            opened.Bridges,
            nodes,
            ratios,
            Math.Min(BatchPairs, pairs.Count),
            pairs.Max(pair => pair.First.Length)
        );
        SteeringResult result = steering.Run(pairs, strengths, random, seed, stop);
        foreach (SteeringPoint point in result.Points)
        {
            _ = NumericalException.RequireFinite(
                point.Dense.Counterfactual
                    + point.Dense.Presented
                    + point.Sparse.Counterfactual
                    + point.Sparse.Presented
                    + point.RandomLow
                    + point.RandomHigh
                    + point.Random.Presented,
                FormattableString.Invariant($"a probability at strength {point.Strength}")
            );
        }

        Print(result, what);
        if (folder is not null)
        {
            AtomicFile.WriteText(Path.Combine(folder, "steering.json"), JsonText.Write(result));
            AtomicFile.WriteText(Path.Combine(folder, "steering.csv"), Csv(result));
            AtomicFile.WriteText(
                Path.Combine(folder, "steering.html"),
                Markup.Page($"Steering {what}", Markup.Drawing("steering", result))
            );
            Terminal.Line($"written to {folder}: steering.json, steering.csv, steering.html");
        }

        return 0;
    }

    private static string Csv(SteeringResult result) =>
        "strength,dense_counterfactual,dense_presented,sparse_counterfactual,sparse_presented,"
        + "random_counterfactual,random_low,random_high,random_presented\n"
        + string.Concat(
            result.Points.Select(point =>
                string.Join(
                    ',',
                    new[]
                    {
                        point.Strength,
                        point.Dense.Counterfactual,
                        point.Dense.Presented,
                        point.Sparse.Counterfactual,
                        point.Sparse.Presented,
                        point.Random.Counterfactual,
                        point.RandomLow,
                        point.RandomHigh,
                        point.Random.Presented,
                    }.Select(value => value.ToString("R", CultureInfo.InvariantCulture))
                ) + "\n"
            )
        );

    private static void Print(SteeringResult result, string what)
    {
        Terminal.Line($"{what}: {result.Prompts} presented prompts, {result.RandomDirections} random directions");
        foreach (SteeredNode node in result.Nodes)
        {
            Terminal.Line(
                $"{node.Node}: mean difference {node.MeanDifference:0.000} at the last token, RMS ratio {node.RmsRatio:0.000}, "
                    + $"direction norm {node.DirectionNorm:0.000}"
            );
        }

        Terminal.Table(
            ["strength", "dense, steered", "sparse, edited", "random mean", "random low", "random high", "dense, other answer"],
            result.Points.Select(point =>
                new[]
                {
                    Terminal.Number(point.Strength, "0.00"),
                    Probability(point.Dense.Counterfactual),
                    Probability(point.Sparse.Counterfactual),
                    Probability(point.Random.Counterfactual),
                    Probability(point.RandomLow),
                    Probability(point.RandomHigh),
                    Probability(point.Dense.Presented),
                }
            )
        );
        Terminal.Line(
            $"from strength {result.Points[0].Strength} to {result.Points[^1].Strength} the counterfactual answer becomes "
                + $"{result.DenseFactor:0.00} times as probable in the dense model, {result.RandomFactor:0.00} times along random "
                + $"directions"
        );
    }

    private static string Probability(double value) => Terminal.Number(value, "0.0000");

    private static Node ParseNode(string name, ModelConfig config)
    {
        Node node = Node.Parse(name);
        _ = Steering.LocationOf(node, config); // says more of nodes that read no residual
        _ = new NodeLayout(config).IndexOf(node);
        return node;
    }

    private static (string What, IReadOnlyList<TokenizedPair> Pairs) Pairs(
        BridgeVerb flags,
        TextTokenizer tokenizer,
        int longest,
        ulong seed
    )
    {
        if (flags.Task is null == flags.Presented is null)
        {
            throw new BadInputException(
                "bridge steer needs either --task NAME, or --presented, --counterfactual, --presented-answer and --counterfactual-answer."
            );
        }

        if (flags.Presented is { } presented)
        {
            var pair = new PromptPair(
                presented,
                BridgeVerb.Required(flags.Counterfactual, "steer", "--counterfactual"),
                BridgeVerb.Required(flags.PresentedAnswer, "steer", "--presented-answer"),
                BridgeVerb.Required(flags.CounterfactualAnswer, "steer", "--counterfactual-answer")
            );
            return ("given prompts", [OnePair(pair, tokenizer, longest)]);
        }

        PromptTask task = PromptTask.Find(flags.Task!);
        if (!task.IsPaired)
        {
            throw new BadInputException(
                $"task {task.Name} has single prompts, but steering needs pairs whose prompts differ in what decides. Use another "
                    + $"task, or prompts of your own."
            );
        }

        if (!TokenizedTask.TryCreate(task, tokenizer, longest, out TokenizedTask? tokenized, out string? reason))
        {
            throw new BadInputException($"task {task.Name} cannot be posed: {reason}");
        }

        int count = AtLeastOne(flags.Pairs ?? 64, "--pairs", 1_000_000);
        IReadOnlyList<TokenizedPair> all = tokenized.Sample(TaskSplit.Test, seed, count).Pairs;
        TokenizedPair[] aligned = [.. all.Where(pair => pair.First.Length == pair.Second.Length)];
        if (aligned.Length == 0)
        {
            throw new BadInputException(
                $"task {task.Name}: none of {count} pairs has prompts of equal length in tokens, which steering compares token by "
                    + $"token. Use another task, or prompts of your own."
            );
        }

        if (aligned.Length < count)
        {
            Terminal.Line($"{count - aligned.Length} of {count} pairs are left out: their prompts differ in length");
        }

        return flags.Swap
            ? (task.Name + ", swapped", [.. aligned.Select(pair => new TokenizedPair(pair.Second, pair.First, pair.AnswerB, pair.AnswerA))])
            : (task.Name, aligned);
    }

    private static TokenizedPair OnePair(PromptPair pair, TextTokenizer tokenizer, int longest)
    {
        int[] first = tokenizer.Encode(pair.First);
        int[] second = tokenizer.Encode(pair.Second);
        if (first.Length != second.Length || first.Length == 0 || first.Length > longest)
        {
            throw new BadInputException(
                $"--presented has {first.Length} tokens and --counterfactual {second.Length}, but steering compares token by token, 1 "
                    + $"to {longest} of them. Give prompts that split alike; 'sparsity tokenizer show' shows how they split."
            );
        }

        return new TokenizedPair(
            first,
            second,
            Answer(pair.AnswerA, "--presented-answer"),
            Answer(pair.AnswerB, "--counterfactual-answer")
        );

        int Answer(string text, string flag) =>
            tokenizer.TryGetSingleToken(text, out int token)
                ? token
                : throw new BadInputException($"{flag} '{text}' is not a single token of the tokenizer. Give one token.");
    }

    private static double[] Strengths(BridgeVerb flags)
    {
        double[] strengths = flags.Strengths.Any()
            ? [.. flags.Strengths.Order().Distinct()]
            : [.. Enumerable.Range(0, 11).Select(i => i / 10.0)];
        if (!strengths.All(strength => Math.Abs(strength) <= LargestStrength))
        {
            throw new BadInputException(
                FormattableString.Invariant(
                    $"--strengths has {strengths.MaxBy(Math.Abs)}, but each must be -{LargestStrength} to {LargestStrength}."
                )
            );
        }

        // Strength 0 is what the others are compared with.
        return strengths[0] == 0 ? strengths : [0, .. strengths.Where(strength => strength != 0)];
    }

    private static int AtLeastOne(int given, string flag, int most) =>
        given >= 1 && given <= most ? given : throw new BadInputException($"{flag} is {given}, but must be 1 to {most}.");
}
