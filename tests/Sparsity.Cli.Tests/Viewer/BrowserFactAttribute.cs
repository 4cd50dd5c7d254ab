namespace Sparsity.Cli.Tests.Viewer;

/// <summary>A test in a real browser: the executable that SPARSITY_BROWSER names, or /usr/bin/chromium. Skipped where there is none.</summary>
public sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute()
    {
        if (!File.Exists(Executable))
        {
            Skip = $"no browser: {Executable} is missing; install chromium or set SPARSITY_BROWSER";
        }
    }

    public static string Executable => Environment.GetEnvironmentVariable("SPARSITY_BROWSER") is { Length: > 0 } path ? path : "/usr/bin/chromium";
}
