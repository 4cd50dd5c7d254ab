using System.Runtime.InteropServices;
using System.Text;
using CommandLine;
using CommandLine.Text;
using Sparsity.Cli;
using Sparsity.Cli.Mpi;
using Sparsity.Cli.Verbs;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Storage;

if (Launcher.Present is not null)
{
    // Open MPI gives a pseudo-terminal, whose other end shows no screen.
    Environment.SetEnvironmentVariable("TERM", "dumb");
}

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
using var stop = new CancellationTokenSource();
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => StopOnce(() => signal.Cancel = true));
Console.CancelKeyPress += (_, pressed) => StopOnce(() => pressed.Cancel = true);

using var parser = new Parser(settings =>
{
    settings.HelpWriter = null;
    settings.CaseInsensitiveEnumValues = true;
    settings.ParsingCulture = System.Globalization.CultureInfo.InvariantCulture;
});
Type[] verbs =
[
    typeof(DemoVerb), typeof(DevicesVerb), typeof(CorpusVerb), typeof(TokenizerVerb), typeof(TrainVerb), typeof(EvalVerb),
    typeof(GenerateVerb), typeof(TasksVerb), typeof(PruneVerb), typeof(MergeVerb), typeof(CircuitVerb), typeof(BridgeVerb), typeof(ViewVerb), typeof(BenchVerb), typeof(ConvertVerb), typeof(TraceVerb),
    typeof(ReproduceVerb),
];
ParserResult<object> parsed = parser.ParseArguments(args, verbs);
return parsed.MapResult(verb => Run((Verb)verb), errors => Refuse([.. errors]));

int Run(Verb verb)
{
    try
    {
        int code = verb.Run(stop.Token);
        MpiGroup.Present?.Leave();
        return code;
    }
    catch (BadInputException e)
    {
        return Fail(e.Message, 2);
    }
    catch (Exception e) when (e is NumericalException or WriteFailedException)
    {
        return Fail(e.Message, 1);
    }
    catch (OperationCanceledException)
    {
        return Fail("stopped; what was finished before is kept.", 1);
    }
}

int Refuse(IReadOnlyList<Error> errors)
{
    if (errors.All(error => error.Tag is ErrorType.HelpRequestedError or ErrorType.HelpVerbRequestedError or ErrorType.VersionRequestedError))
    {
        bool isVersion = errors.Any(error => error.Tag == ErrorType.VersionRequestedError);
        bool ofAllVerbs = errors.OfType<HelpVerbRequestedError>().Any(error => error.Type is null);
        Console.Out.WriteLine(isVersion ? HelpText.AutoBuild(parsed) : Help(ofAllVerbs));
        return 0;
    }

    if (Launcher.Present is { Rank: > 0 })
    {
        return 2; // rank 0 says it
    }

    string sentence = string.Join(" ", errors.Select(error => SentenceBuilder.Create().FormatError(error))).ReplaceLineEndings(" ");
    return Fail($"{sentence} See 'sparsity --help'.", 2);
}

HelpText Help(bool ofAllVerbs) => HelpText.AutoBuild(parsed, help =>
{
    help.AdditionalNewLineAfterOption = false;
    help.MaximumDisplayWidth = 140;
    help.Copyright = "";
    return help;
}, example => example, verbsIndex: ofAllVerbs);

int Fail(string message, int code)
{
    int rank = Launcher.Present?.Rank ?? 0;
    if (rank > 0 && stop.Token.WaitHandle.WaitOne(2000 + (10 * rank)))
    {
        return code; // what goes wrong on all ranks alike is said by rank 0, which ends the others
    }

    Console.Error.WriteLine($"sparsity: {(rank > 0 ? $"rank {rank}: " : "")}{message.ReplaceLineEndings(" ")}");
    MpiGroup.Present?.Abort(code);
    return code;
}

// The first request lets the step in progress finish; the second ends the process at once.
void StopOnce(Action keepRunning)
{
    if (!stop.IsCancellationRequested)
    {
        keepRunning();
        if (Launcher.Present is not { Rank: > 0 } && MpiGroup.Present?.IsAborting != true)
        {
            Console.Error.WriteLine("sparsity: stopping after the step in progress; once more to stop at once.");
        }

        stop.Cancel();
    }
}
