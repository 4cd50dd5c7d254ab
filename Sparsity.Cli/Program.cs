using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using CommandLine;
using CommandLine.Text;
using Sparsity.Cli;
using Sparsity.Cli.Mpi;
using Sparsity.Cli.Verbs;
using Sparsity.Core;
using Sparsity.Core.Files;

if (Launcher.Present is not null)
{
    // Open MPI gives a pseudo-terminal, whose other end shows no screen.
    Environment.SetEnvironmentVariable("TERM", "dumb");
}

bool endsWhenAsked = false;
string whenAskedToEnd = "";
using var stop = new CancellationTokenSource();
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(
    PosixSignal.SIGTERM,
    signal => StopOnce(() => signal.Cancel = true)
);
Console.CancelKeyPress += (_, pressed) => StopOnce(() => pressed.Cancel = true);

bool isDebug = false;

// What other threads throw.
AppDomain.CurrentDomain.UnhandledException += (_, thrown) => Environment.Exit(Report((Exception)thrown.ExceptionObject));

try
{
    Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
    return Execute();
}
catch (Exception e)
{
    return Report(e);
}

int Execute()
{
    string[] arguments = args is ["help" or "--help" or "-h", .. var about] ? [.. about, "--help"] : args;
    switch (arguments)
    {
        case []:
            throw new BadInputException("no verb is given. 'sparsity help' lists them; 'sparsity demo' shows what this is.");
        case ["--help"]:
            Terminal.Text(Help.Overview(Version(), Terminal.Width));
            return 0;
        case ["--version", ..]:
            Terminal.Text(Version() + "\n");
            return 0;
    }

    Type type =
        VerbTypes.All.FirstOrDefault(verb => Verb.NameOf(verb) == arguments[0])
        ?? throw new BadInputException(
            $"there is no verb '{arguments[0]}'.{Spelling.Suggestion(arguments[0], VerbTypes.All.Select(Verb.NameOf))} See 'sparsity "
                + $"help'."
        );
    var given = new Arguments(arguments, type);
    if (given.Request is { } request)
    {
        Terminal.Text(request == "--version" ? Version() + "\n" : Help.Page(type, ActionOf(type, given), Terminal.Width));
        return 0;
    }

    using Parser parser = Arguments.CreateParser();
    return parser
        .ParseArguments(given.Canonical, [.. VerbTypes.All])
        .MapResult(verb => Do((Verb)verb, given), errors => Refuse([.. errors]));
}

// Whose help is asked for; null for the whole verb's.
static string? ActionOf(Type type, Arguments given)
{
    string verb = Verb.NameOf(type);
    string? action = given.Positional.FirstOrDefault();
    if (action is not null && Manual.Actions(verb).Length > 0)
    {
        _ = Manual.Flags(verb, action);
    }

    return action;
}

// With the commit it was built from.
static string Version() =>
    $"sparsity {Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion}";

int Do(Verb verb, Arguments given)
{
    isDebug = verb.Debug;
    endsWhenAsked = verb.EndsWhenAsked;
    whenAskedToEnd = verb.WhenAskedToEnd;
    verb.Given = given.Given;
    verb.Lists = given.Lists;
    RequireWorkingDirectory();
    int code = verb.Execute(stop.Token);
    MpiGroup.Present?.Leave();
    return code;
}

// Relative paths mean nothing without it, and libraries fail in ways of their own.
void RequireWorkingDirectory()
{
    try
    {
        _ = Environment.CurrentDirectory;
    }
    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
    {
        throw new BadInputException("The working directory is gone: it was deleted or moved. Change to another one.", e);
    }
}

// The last handler: whatever goes wrong is one line and an exit code.
int Report(Exception thrown)
{
    Exception e = thrown is AggregateException several ? several.Flatten().InnerExceptions[0] : thrown;
    int code = Fail(
        e switch
        {
            BadInputException or NumericalException or WriteFailedException => e.Message,
            OperationCanceledException => "stopped; what was finished before is kept.",
            OutOfMemoryException => "there is not enough memory. Use smaller batches, prompts or a smaller model.",
            IOException or UnauthorizedAccessException => $"a file cannot be read or written: {e.Message}",
            _ => $"a defect of this program ({e.GetType().Name}: {e.Message}). Please report it with what --debug shows.",
        },
        e is BadInputException ? 2 : 1
    );
    if (isDebug || args.Contains("--debug"))
    {
        Complain(thrown.ToString());
    }

    return code;
}

int Refuse(IReadOnlyList<Error> errors)
{
    if (Launcher.Present is { Rank: > 0 })
    {
        return 2; // rank 0 says it
    }

    string sentence = string.Join(" ", errors.Select(error => SentenceBuilder.Create().FormatError(error))).ReplaceLineEndings(" ");
    throw new BadInputException($"{sentence} See 'sparsity help'.");
}

int Fail(string message, int code)
{
    int rank = Launcher.Present?.Rank ?? 0;
    if (rank > 0 && stop.Token.WaitHandle.WaitOne(2000 + (10 * rank)))
    {
        return code; // what goes wrong on all ranks alike is said by rank 0, which ends the others
    }

    Complain($"sparsity: {(rank > 0 ? $"rank {rank}: " : "")}{message.ReplaceLineEndings(" ")}");
    MpiGroup.Present?.Abort(code);
    return code;
}

static void Complain(string text)
{
    try
    {
        Console.Error.WriteLine(text);
    }
    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
    {
        // Standard error is closed or full: only the exit code is left.
    }
}

// The first request lets the step in progress finish; the second ends the process at once, as does the first where nothing looks at it.
void StopOnce(Action keepRunning)
{
    if (endsWhenAsked && !stop.IsCancellationRequested)
    {
        keepRunning();
        if (whenAskedToEnd.Length > 0 && Launcher.Present is not { Rank: > 0 } && MpiGroup.Present?.IsAborting != true)
        {
            Complain("sparsity: " + whenAskedToEnd);
        }

        stop.Cancel();
    }
}
