namespace Sparsity.Cli.Tests.Viewer;

/// <summary>
/// A test in a real browser: the executable that SPARSITY_BROWSER names, or /usr/bin/chromium. Skipped where there is none.
/// </summary>
public sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute() => Skip = Missing;

    public static string Executable =>
        Environment.GetEnvironmentVariable("SPARSITY_BROWSER") is { Length: > 0 } path ? path : "/usr/bin/chromium";

    /// <summary>Why there is no browser; null where there is one.</summary>
    public static string? Missing =>
        File.Exists(Executable) ? null : $"no browser: {Executable} is missing; install chromium or set SPARSITY_BROWSER";
}

/// <summary>The same with data.</summary>
public sealed class BrowserTheoryAttribute : TheoryAttribute
{
    public BrowserTheoryAttribute() => Skip = BrowserFactAttribute.Missing;
}
