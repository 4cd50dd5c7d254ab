using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;

namespace Sparsity.Cli.Verbs;

[Verb("merge")]
internal sealed class MergeVerb : Verb
{
    [Option(
        "from",
        MetaValue = "DIR,...",
        Separator = ',',
        Required = true,
        HelpText = "Folders of shards, or the one that holds them, comma-separated."
    )]
    public IEnumerable<string> From { get; set; } = [];

    [Option("out", MetaValue = "DIR", Required = true, HelpText = "Folder to make; joining the same shards again changes nothing.")]
    public string Out { get; set; } = "";

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        string[] sweep = [.. From.SelectMany(PruningMerge.Find).Distinct()];
        string[] figures = [.. From.SelectMany(ReproductionMerge.Find).Distinct()];
        if (figures.Length == 0)
        {
            PruningResults results = PruningMerge.Run(sweep, Out);
            Terminal.Line($"{results.Results.Count} results of {sweep.Length} shards written to {Path.Combine(Out, "results.json")}");
            return 0;
        }

        if (sweep.Length > 0)
        {
            throw new BadInputException(
                $"{sweep[0]} is a shard of 'prune', but {figures[0]} one of 'reproduce' or 'sweep'. "
                    + "Join the shards of each verb separately."
            );
        }

        foreach (StagePlan plan in ReproductionMerge.Run(figures, Out))
        {
            Terminal.Line(
                $"{figures.Length} shards of {plan.Name} joined; for its result: sparsity {plan.Verb} {plan.Options} --out {Out}"
            );
        }

        return 0;
    }
}
