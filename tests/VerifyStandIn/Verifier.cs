using System.Runtime.CompilerServices;
using System.Text;

namespace VerifyXunit;

/// <summary>
/// The one member of Verify.Xunit that the tests use, for builds without that package. The snapshot CLASS.METHOD.verified.EXTENSION lies
/// beside the test's source file, whose name is the class; a difference, or no snapshot, writes CLASS.METHOD.received.EXTENSION there and
/// fails.
/// </summary>
internal static class Verifier
{
    /// <summary>
    /// Fails unless the snapshot holds <paramref name="text"/>; line ends and one newline at the snapshot's end are no difference.
    /// </summary>
    public static async Task Verify(
        string text,
        string extension = "txt",
        [CallerFilePath] string sourceFile = "",
        [CallerMemberName] string method = ""
    )
    {
        string folder = Path.GetDirectoryName(sourceFile)!;
        string name = $"{Path.GetFileNameWithoutExtension(sourceFile)}.{method}";
        string verifiedFile = Path.Combine(folder, $"{name}.verified.{extension}");
        string receivedFile = Path.Combine(folder, $"{name}.received.{extension}");

        string received = NormalLineEnds(text);
        string? verified = File.Exists(verifiedFile) ? NormalLineEnds(await File.ReadAllTextAsync(verifiedFile)) : null;
        if (verified == received || verified == received + "\n")
        {
            File.Delete(receivedFile);
            return;
        }

        // As Verify writes it: UTF-8 with a byte order mark, so that taking the received file over changes nothing else.
        await File.WriteAllTextAsync(receivedFile, received, new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        string what = verified is null ? "There is no snapshot" : FirstDifference(verified, received);
        throw new VerifyException(
            $"{what}: {verifiedFile}{Environment.NewLine}Received: {receivedFile}{Environment.NewLine}If it is right, rename it to "
                + $"the former."
        );
    }

    private static string NormalLineEnds(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');

    private static string FirstDifference(string verified, string received)
    {
        string[] expected = verified.Split('\n');
        string[] actual = received.Split('\n');
        int line = 0;
        while (line < expected.Length && line < actual.Length && expected[line] == actual[line])
        {
            line++;
        }

        return $"Line {line + 1} differs, expected {Line(expected, line)}, received {Line(actual, line)}";
    }

    private static string Line(string[] lines, int line) => line < lines.Length ? $"'{lines[line]}'" : "no such line";
}

internal sealed class VerifyException(string message) : Exception(message);
