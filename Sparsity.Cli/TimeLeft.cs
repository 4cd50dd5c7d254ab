using System.Diagnostics;

namespace Sparsity.Cli;

/// <summary>How long a piece of work takes yet, at the pace that it has had since this was made.</summary>
internal sealed class TimeLeft
{
    private readonly long _started = Stopwatch.GetTimestamp();

    /// <summary>", about 12 min left"; empty before anything is done.</summary>
    /// <param name="share">What is done, from 0 to 1.</param>
    public string After(double share) =>
        share > 0
            ? $", about {Terminal.Duration(Stopwatch.GetElapsedTime(_started).TotalSeconds * (1 - Math.Min(1, share)) / share)} left"
            : "";
}
