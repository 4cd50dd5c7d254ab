using System.Diagnostics;
using Sparsity.Core;
using Sparsity.Core.Files;
using Sparsity.Parity;

namespace Sparsity.Cli.Verbs;

/// <summary>Runs the items of a check, prints a line for each as it comes, and keeps them in a file.</summary>
/// <param name="device">The engine that is checked.</param>
/// <param name="reference">The engine that it is compared with.</param>
/// <param name="file">Where the results go; null for nowhere.</param>
internal sealed class DeviceCheckReport(string device, string reference, string? file)
{
    private readonly List<CheckedItem> _items = [];

    /// <returns>0 if every item passed, else 1.</returns>
    public int Run(IEnumerable<CheckItem> items, CancellationToken stop)
    {
        Save(""); // a file that cannot be written is known before the first item
        foreach (CheckItem item in items)
        {
            stop.ThrowIfCancellationRequested();
            long started = Stopwatch.GetTimestamp();
            ParityResult result = Run(item);
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            _items.Add(
                new CheckedItem(
                    item.Name,
                    result.Ok,
                    Finite(result.Difference),
                    Finite(result.Allowed),
                    result.Detail,
                    Math.Round(seconds, 3)
                )
            );
            string share = double.IsFinite(result.Share) ? $"{100 * result.Share:0.0} % of the tolerance" : "not comparable";
            Terminal.Line(
                $"{(result.Ok ? "ok    " : "FAILED")}  {item.Name}: {share}{(result.Detail.Length == 0 ? "" : "; " + result.Detail)}  "
                    + $"({seconds:0.00} s)"
            );
            Save("");
        }

        CheckedItem[] failed = [.. _items.Where(item => !item.Ok)];
        string verdict =
            failed.Length == 0
                ? $"all {_items.Count} items passed on {device}"
                : $"{failed.Length} of {_items.Count} items FAILED on {device}: {string.Join("; ", failed.Select(item => item.Name))}";
        Save(verdict);
        Terminal.Line($"{verdict}");
        return failed.Length == 0 ? 0 : 1;
    }

    /// <summary>A fault of a device or its compiler fails its item only; the others are still worth knowing.</summary>
    private static ParityResult Run(CheckItem item)
    {
        try
        {
            return item.Run();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return new ParityResult(
                item.Name,
                double.PositiveInfinity,
                0,
                exception is BadInputException or ComparisonException ? exception.Message : exception.ToString()
            );
        }
    }

    private void Save(string verdict)
    {
        if (file is not null)
        {
            AtomicFile.WriteText(file, JsonText.Write(new CheckedDevice(device, reference, verdict, _items)));
        }
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
