namespace Sparsity.Core.Engine;

/// <summary>A number that training or pruning depends on is NaN or infinite, or is no longer the same on every rank. The command line reports it and exits with code 1.</summary>
/// <param name="message">Which number, where, and what became of the run.</param>
public sealed class NumericalException(string message) : Exception(message);
