namespace Sparsity.Cli;
using Sparsity.Core.Circuits;
internal sealed record ReportCircuit(string Model, Circuit Circuit);
