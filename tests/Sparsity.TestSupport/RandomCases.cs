using FsCheck;
using FsCheck.Fluent;

namespace Sparsity.TestSupport;

/// <summary>Properties checked on many random cases, the same ones at every run; a failure shows the smallest case found.</summary>
internal static class RandomCases
{
    /// <param name="cases">What the cases are made of.</param>
    /// <param name="holds">Whether the property holds for a case; it may also throw.</param>
    public static void ForAll<T>(Gen<T> cases, Func<T, bool> holds) =>
        Prop.ForAll(cases.ToArbitrary(), holds).Check(Config.QuickThrowOnFailure.WithMaxTest(300).WithReplay(20261124, 1));
}
