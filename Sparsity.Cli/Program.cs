using System.Runtime.InteropServices;
using System.Text;
using CommandLine;
using CommandLine.Text;
using Sparsity.Cli;
using Sparsity.Cli.Verbs;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Storage;

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
    typeof(GenerateVerb), typeof(TasksVerb), typeof(PruneVerb), typeof(CircuitVerb), typeof(BridgeVerb), typeof(ViewVerb), typeof(BenchVerb), typeof(ConvertVerb), typeof(TraceVerb), typeof(ReproduceVerb),
];
ParserResult<object> parsed = parser.ParseArguments(args, verbs);
return parsed.MapResult(verb => Run((Verb)verb), errors => Refuse([.. errors]));

int Run(Verb verb)
{
    try
    {
        return verb.Run(stop.Token);
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

static int Fail(string message, int code)
{
    Console.Error.WriteLine("sparsity: " + message.ReplaceLineEndings(" "));
    return code;
}

// The first request lets the step in progress finish; the second ends the process at once.
void StopOnce(Action keepRunning)
{
    if (!stop.IsCancellationRequested)
    {
        keepRunning();
        Console.Error.WriteLine("sparsity: stopping after the step in progress; once more to stop at once.");
        stop.Cancel();
    }
}
