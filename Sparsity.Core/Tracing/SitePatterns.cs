using System.IO.Enumeration;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tracing;

/// <summary>
/// Sites by pattern: official hook names in which * stands for any text and ? for one character, such as "*.attn.q,final_resid".
/// </summary>
public static class SitePatterns
{
    /// <summary>All sites that match any of the patterns.</summary>
    /// <param name="patterns">A comma list.</param>
    /// <exception cref="BadInputException">A pattern matches no site of the model.</exception>
    public static IReadOnlySet<Site> Match(string patterns, ModelConfig config)
    {
        var matched = new HashSet<Site>();
        foreach (string pattern in patterns.Split(',', StringSplitOptions.TrimEntries))
        {
            Site[] sites =
            [
                .. Site.AllOf(config).Where(site => FileSystemName.MatchesSimpleExpression(pattern, site.Name, ignoreCase: false)),
            ];
            if (sites.Length == 0)
            {
                throw new BadInputException(
                    $"'{pattern}' matches no site of this model. Sites are LAYER.SUFFIX with layer 0 to {config.NLayer - 1} and "
                        + $"suffix one of {SiteKinds.SuffixList}; or final_resid."
                );
            }

            matched.UnionWith(sites);
        }

        return matched;
    }
}
