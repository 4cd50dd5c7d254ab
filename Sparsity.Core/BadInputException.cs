namespace Sparsity.Core;

/// <summary>
/// What the user gave cannot be used. The message is one line that says what was given, what was expected, and the way out;
/// the command line prints it and exits with code 2. Any other exception is a defect of this program.
/// </summary>
public sealed class BadInputException(string message, Exception? cause = null) : Exception(OneLine(message), cause)
{
    // Messages quote what they were given: names in a damaged file may hold anything.
    private static string OneLine(string message) =>
        string.Concat(message.ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? '?' : c));
}
