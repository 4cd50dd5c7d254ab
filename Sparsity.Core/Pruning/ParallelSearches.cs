using System.Runtime.ExceptionServices;

namespace Sparsity.Core.Pruning;

/// <summary>Runs one thread per model at hand until all are done.</summary>
internal static class ParallelSearches
{
    /// <summary>The first failure stops the others and is thrown here; cancellation is thrown only if nothing else failed.</summary>
    public static void Run(IReadOnlyList<PruningSubject> subjects, CancellationTokenSource failed, Action<PruningSubject> work)
    {
        var failures = new Exception?[subjects.Count];
        Thread[] threads =
        [
            .. subjects.Select(
                (subject, i) =>
                    new Thread(() =>
                    {
                        try
                        {
                            work(subject);
                        }
                        catch (Exception e)
                        {
                            // Thrown again below, on the caller's thread.
                            failures[i] = e;
                            failed.Cancel();
                        }
                    })
            ),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Exception? first =
            failures.FirstOrDefault(failure => failure is not null and not OperationCanceledException)
            ?? failures.FirstOrDefault(failure => failure is not null);
        if (first is not null)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }
}
