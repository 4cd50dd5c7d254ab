namespace Sparsity.Cli.Verbs;

/// <summary>The classes of all verbs.</summary>
internal static class VerbTypes
{
    public static IReadOnlyList<Type> All { get; } =
    [
        typeof(DemoVerb),
        typeof(CorpusVerb),
        typeof(TrainVerb),
        typeof(EvalVerb),
        typeof(GenerateVerb),
        typeof(TasksVerb),
        typeof(PruneVerb),
        typeof(CircuitVerb),
        typeof(ViewVerb),
        typeof(TraceVerb),
        typeof(BridgeVerb),
        typeof(ReproduceVerb),
        typeof(SweepVerb),
        typeof(MergeVerb),
        typeof(ConvertVerb),
        typeof(TokenizerVerb),
        typeof(DevicesVerb),
        typeof(BenchVerb),
        typeof(CompletionVerb),
    ];
}
