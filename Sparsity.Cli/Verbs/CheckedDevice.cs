namespace Sparsity.Cli.Verbs;

/// <summary>What <c>devices --check --json</c> writes.</summary>
/// <param name="Device">The engine that was checked.</param>
/// <param name="Reference">The engine that it was compared with.</param>
/// <param name="Verdict">The last line; empty until the check has ended.</param>
/// <param name="Items">In the order in which they ran.</param>
internal sealed record CheckedDevice(string Device, string Reference, string Verdict, IReadOnlyList<CheckedItem> Items);

/// <param name="Name">What was computed.</param>
/// <param name="Ok">Whether it passed.</param>
/// <param name="Difference">The largest; null if there was no number.</param>
/// <param name="Allowed">In the same unit.</param>
/// <param name="Detail">What went wrong; empty if nothing did.</param>
/// <param name="Seconds">All of it: inputs, both engines, comparison.</param>
internal sealed record CheckedItem(string Name, bool Ok, double? Difference, double? Allowed, string Detail, double Seconds);
