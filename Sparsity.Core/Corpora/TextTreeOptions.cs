namespace Sparsity.Core.Corpora;

/// <summary>Which documents <see cref="TextTree"/> takes and how it splits them.</summary>
public sealed record TextTreeOptions
{
    /// <summary>The smallest document taken, in bytes, at least 1. Default 1: an empty one has nothing to learn from.</summary>
    public long MinimumBytes { get; init; } = 1;

    /// <summary>
    /// The largest document taken from .py, .md, .jsonl and .parquet, in bytes, at most 1 GiB. Default 1 MiB: larger ones are mostly data.
    /// A text of a .txt file may have 256 MiB.
    /// </summary>
    public long MaximumBytes { get; init; } = 1 << 20;

    /// <summary>The share of documents kept for validation, more than 0 and less than 1. Default 0.05.</summary>
    public double ValidationShare { get; init; } = 0.05;

    /// <summary>Decides, with a document's content, on which side it falls. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// The field or column of .jsonl and .parquet that holds the text; null for the first there is of text, content and code.
    /// </summary>
    public string? Column { get; init; }

    /// <summary>Takes only files of folders whose path below their folder, or whose name, matches, with * and ?; null for all.</summary>
    public string? Glob { get; init; }

    /// <exception cref="BadInputException">A field is out of range.</exception>
    public void Validate()
    {
        if (MinimumBytes < 1 || MaximumBytes < MinimumBytes || MaximumBytes > 1 << 30)
        {
            throw new BadInputException(
                $"The size limits are {MinimumBytes} and {MaximumBytes} bytes; expected 1 <= minimum <= maximum <= {1 << 30}. Correct "
                    + $"the limits."
            );
        }

        if (!(ValidationShare > 0 && ValidationShare < 1))
        {
            throw new BadInputException($"The validation share is {ValidationShare}; expected more than 0 and less than 1. 0.05 is usual.");
        }
    }
}
