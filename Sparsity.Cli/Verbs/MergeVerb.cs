using CommandLine;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Verbs;

[Verb("merge", HelpText = "Join the shards of a sweep ('prune --shard') into the folder that one run would have made.")]
internal sealed class MergeVerb : Verb
{
    [Option("from", Separator = ',', Required = true, HelpText = "Folders of shards, or the one that holds them, comma-separated.")]
    public IEnumerable<string> From { get; set; } = [];

    [Option("out", Required = true, HelpText = "Folder to make; joining the same shards again changes nothing.")]
    public string Out { get; set; } = "";

    public override int Run(CancellationToken stop)
    {
        string[] shards = [.. From.SelectMany(PruningMerge.Find).Distinct()];
        PruningResults results = PruningMerge.Run(shards, Out);
        Terminal.Line($"{results.Results.Count} results of {shards.Length} shards written to {Path.Combine(Out, "results.json")}");
        return 0;
    }
}
