using System.Diagnostics;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>ILGPU writes what a driver's compiler says to Trace alone; the message of an error must have it.</summary>
public class TraceLogTests
{
    [Fact]
    public void TheFirstLinesOfThisThreadsLogExplainAnError()
    {
        using var log = new TraceLog();
        Trace.WriteLine("building the program:\r\n\n  line 3: error: undeclared identifier 'f'\0");
        Trace.Write("line 4: ");
        Trace.WriteLine("error: also bad");
        var other = new Thread(() => Trace.WriteLine("another thread's"));
        other.Start();
        other.Join();
        for (int i = 0; i < 10; i++)
        {
            Trace.WriteLine($"more {i}");
        }

        Assert.Equal(
            "it broke; its compiler says: building the program: | line 3: error: undeclared identifier 'f' | line 4: error: also bad "
                + "| more 0",
            log.Explain(new InvalidOperationException("it broke."))
        );
    }

    [Fact]
    public void WhatIsWrittenBeforeAndAfterIsNotInTheLog()
    {
        Trace.WriteLine("before");
        var log = new TraceLog();
        Assert.Contains(log, Trace.Listeners.Cast<TraceListener>());
        log.Dispose();
        Trace.WriteLine("after");
        Assert.DoesNotContain(log, Trace.Listeners.Cast<TraceListener>());
        Assert.Equal("it broke", log.Explain(new InvalidOperationException("it broke")));
    }
}
