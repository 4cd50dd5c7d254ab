using System.Globalization;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Released;
using Sparsity.Core.Runs;

namespace Sparsity.Cli.Verbs;

/// <summary>circuit import: released circuits, one or all of a folder.</summary>
internal static class CircuitImporting
{
    /// <param name="open">Opens the model of a folder.</param>
    public static int Run(CircuitVerb flags, string source, Func<string, OpenedRun> open)
    {
        string modelDirectory =
            flags.Model
            ?? throw new BadInputException("circuit import needs --model DIR, the folder of the model that the circuits were found in.");
        string target = flags.Out ?? throw new BadInputException("circuit import needs --out DIR, a folder to make.");
        if (flags.Means is not null && flags.Data is not null)
        {
            throw new BadInputException(
                "circuit import takes the means either from --means FILE or measured on --data DIR. Give one of the two."
            );
        }

        bool isFolder = Directory.Exists(source);
        IReadOnlyList<string> files =
            isFolder ? CircuitImport.FilesIn(source)
            : File.Exists(source) ? [source]
            : throw new BadInputException(
                $"{source}: no such file or folder. Give a {CircuitImport.FileName}, or a folder that has some in it or below."
            );
        using OpenedRun run = open(modelDirectory);
        var import = new CircuitImport(Path.GetFullPath(modelDirectory), run.Model, run.FindTokenizer())
        {
            Answers = flags.Answers is null ? null : ParseAnswers(flags.Answers, run),
            Task = flags.Task,
            Means = flags.Means,
            Text = flags.Data is null ? null : new PretrainingText(flags.Data, run.Data.Training, run.Training.ContextTokens),
        };
        string root = OutputFolder.Create(target);
        var rows = new List<string[]>();
        var imported = new List<Circuit>();
        var failures = new List<string>();
        foreach (string file in files)
        {
            string folder = isFolder ? Path.GetDirectoryName(Path.GetRelativePath(source, file)) ?? "" : "";
            try
            {
                (Circuit circuit, CircuitInputs inputs) = import.Import(file);
                string directory = Path.Combine(root, folder);
                AtomicFile.CreateDirectory(directory);
                new PrunedTask(circuit, null).WriteTo(directory);
                inputs.WriteTo(directory, circuit, circuit.LayoutIn(run.Model.Config));
                imported.Add(circuit);
                rows.Add(Row(folder.Length == 0 ? Path.GetFileName(file) : folder, circuit));
            }
            catch (BadInputException e) when (files.Count > 1)
            {
                failures.Add(e.Message); // the others are imported all the same
            }
        }

        if (imported.Count == 1)
        {
            CircuitListing.Print(imported[0]);
        }
        else if (imported.Count > 1)
        {
            PrintAll(imported, rows);
        }

        failures.ForEach(failure => Terminal.Line($"left out: {failure}"));
        Terminal.Line(
            $"{imported.Count} {(imported.Count == 1 ? "circuit" : "circuits")} written to {root}; look at them with: sparsity view "
                + $"--run {root} --model {modelDirectory}"
        );
        return failures.Count == 0
            ? 0
            : throw new BadInputException(
                $"{source}: {failures.Count} of {files.Count} files could not be imported, as said above; the others are in {root}."
            );
    }

    private static string[] Row(string name, Circuit circuit)
    {
        CircuitMeasurements m = circuit.Measurements;
        double stored = circuit.Imported!.StoredLoss!.Value;
        double storedFull = circuit.Imported.StoredLossFullModel;
        return
        [
            name,
            $"{circuit.Nodes.Count}",
            $"{circuit.Edges.Count}",
            Number(stored),
            Number(m.Loss),
            Difference(m.Loss - stored),
            Number(storedFull),
            Number(m.LossFullModel),
            Difference(m.LossFullModel - storedFull),
            Number(m.LossWithoutCircuit),
            Number(m.LossEmpty),
        ];

        static string Number(double value) => Terminal.Number(value, "0.0000");

        static string Difference(double value) => Terminal.Number(value, "+0.0e+0;-0.0e+0;0");
    }

    private static void PrintAll(IReadOnlyList<Circuit> circuits, IReadOnlyList<string[]> rows)
    {
        Terminal.Table(
            [
                "circuit",
                "nodes",
                "edges",
                "loss in file",
                "here",
                "difference",
                "full model in file",
                "here",
                "difference",
                "without it",
                "empty",
            ],
            rows
        );
        foreach (string assumption in circuits.SelectMany(circuit => CircuitListing.Assumptions(circuit.Imported!)).Distinct())
        {
            Terminal.Line($"{assumption}");
        }
    }

    /// <summary>Two token ids, or two texts that are single tokens.</summary>
    private static (int A, int B) ParseAnswers(string given, OpenedRun run)
    {
        string[] parts = given.Split(',');
        if (parts.Length != 2)
        {
            throw new BadInputException(
                $"--answers is '{given}', but must be two token ids such as 40,41, or two texts that are one token each, with a comma "
                    + $"between."
            );
        }

        (int a, int b) = (Token(parts[0]), Token(parts[1]));
        return a != b ? (a, b) : throw new BadInputException($"--answers is '{given}', but the two answers must differ.");

        int Token(string text)
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            {
                return id < run.Model.Config.VocabSize
                    ? id
                    : throw new BadInputException($"--answers: token {id} is outside 0 to {run.Model.Config.VocabSize - 1}.");
            }

            return run.FindTokenizer() is { } tokenizer && tokenizer.TryGetSingleToken(text, out int token)
                ? token
                : throw new BadInputException($"--answers: '{text}' is neither a token id nor one token of the model's tokenizer.");
        }
    }
}
