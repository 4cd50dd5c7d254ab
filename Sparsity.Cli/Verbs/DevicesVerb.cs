using CommandLine;
using Sparsity.Core.Engine;

namespace Sparsity.Cli.Verbs;

[Verb("devices", HelpText = "Show the engines and devices found, and which one 'auto' takes.")]
internal sealed class DevicesVerb : EngineVerb
{
    public override int Run(CancellationToken stop)
    {
        using IComputeEngine engine = CreateEngine();
        Terminal.Line($"{engine.Name}: {engine.Description}");
        Terminal.Line($"auto takes {engine.Name}: this version has the CPU engine only.");
        return 0;
    }
}
