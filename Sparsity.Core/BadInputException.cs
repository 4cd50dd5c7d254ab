namespace Sparsity.Core;

/// <summary>
/// What the user gave cannot be used. The message is one line that says what was given, what was expected, and the way out;
/// the command line prints it and exits with code 2. Any other exception is a defect of this program.
/// </summary>
public sealed class BadInputException(string message, Exception? cause = null) : Exception(message, cause);
