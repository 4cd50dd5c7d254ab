using PublicApiGenerator;
using Sparsity.Core.Runs;
using Sparsity.Kernels;
using VerifyXunit;

namespace Samples.Tests;

/// <summary>What users of the two libraries can see. A difference here is a change that a release's notes must name.</summary>
public class PublicApiTests
{
    private static readonly ApiGeneratorOptions Options = new() { IncludeAssemblyAttributes = false };

    [Fact]
    public async Task CoreShowsWhatItShowed() => await Verifier.Verify(typeof(Run).Assembly.GeneratePublicApi(Options));

    [Fact]
    public async Task KernelsShowWhatTheyShowed() => await Verifier.Verify(typeof(EngineFactory).Assembly.GeneratePublicApi(Options));
}
