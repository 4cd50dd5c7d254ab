namespace Sparsity.Core.Files;

/// <summary>The disk is full, or a folder is read-only or gone. The command line reports it and exits with code 1.</summary>
/// <param name="message">Which file, why, and what became of the run.</param>
public sealed class WriteFailedException(string message, Exception inner) : Exception(message, inner);
