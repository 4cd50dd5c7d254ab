using Sparsity.Cli.Verbs;

namespace Sparsity.Cli.Tests;

/// <summary>
/// The rules of the command line, one for all verbs and flags: numbers, dashes, empty values, what is left over, what would be passed over.
/// </summary>
public class ArgumentTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Theory]
    [InlineData("--lr is '0,03'", "train", "--lr", "0,03")]
    [InlineData("write 0.8, with a point", "generate", "--model", "m", "--temperature", "0,8")]
    [InlineData("--minutes is '0,5'", "demo", "--minutes", "0,5")]
    [InlineData("--megabytes is '1,000'", "corpus", "--megabytes=1,000")]
    [InlineData("--budget is ' 5'", "reproduce", "--budget", " 5")]
    [InlineData("one number or two", "prune", "--k-coef", "0,5")]
    [InlineData("--k-coef is '001'", "prune", "--k-coef", "0.5,001")]
    [InlineData("one number or two", "bridge", "steer", "--strengths", "1,5")]
    [InlineData("beyond", "bridge", "steer", "--strengths", "0.0,1e999")]
    [InlineData("beyond", "train", "--lr", "1e-999")]
    [InlineData("must be a number", "train", "--lr", "NaN")]
    [InlineData("must be a number", "train", "--lr", "Infinity")]
    [InlineData("must be a number", "train", "--lr", "5.0e")]
    [InlineData("whole number", "train", "--tokens", "1e6")]
    [InlineData("whole number", "train", "--tokens", "1,000,000")]
    [InlineData("beyond", "train", "--layers", "2147483648")]
    [InlineData("whole number", "trace", "--seed", "0x10")]
    [InlineData("true or false", "train", "--lr-decay", "yes")]
    [InlineData("one number or two", "sweep", "--lr", "0,03")]
    [InlineData("whole number", "sweep", "--layers", "2,3.5")]
    [InlineData("true or false", "sweep", "--sink", "true,perhaps")]
    [InlineData("mask, attribution or integrated", "prune", "--method", "0")]
    [InlineData("mean or zero", "prune", "--ablation", "mean,zero")]
    public void NumbersAndNamesAreReadStrictly(string expected, params string[] arguments) => CommandLine.Refuse(expected, arguments);

    /// <summary>
    /// Every flag that has a value, of every verb: an empty one is refused where no model reads it as text, before anything is done.
    /// </summary>
    [Fact]
    public void NoValueIsEmptyAndNoneIsMissing()
    {
        foreach (Type type in VerbTypes.All.Where(type => Verb.NameOf(type) != "completion"))
        {
            string verb = Verb.NameOf(type);
            string[] flags = [.. Help.Flags(type).Select(declared => "--" + declared.Name)];
            // One process a verb: the first flag at fault ends it, so one that takes a value stands last.
            string flag = flags.First(name => name is "--out" or "--json" or "--model" or "--html" or "--device");
            CommandLine.Refuse($"{flag} is empty", verb, flag, "");
            CommandLine.Refuse($"{flag} is empty", verb, $"{flag}=");
            CommandLine.Refuse($"{flag} needs a value", verb, flag);
        }
    }

    [Theory]
    [InlineData("--task is 'a,,b', which has an empty entry", "prune", "--task", "a,,b")]
    [InlineData("--lr is '0.1,', which has an empty entry", "sweep", "--lr", "0.1,")]
    [InlineData("--lr is followed by --sink", "sweep", "--lr", "--sink", "true")]
    [InlineData("--lr is given twice. Give it once, its values joined by ','", "sweep", "--lr", "1.0,2", "--lr", "3")]
    [InlineData("no flag --init", "sweep", "--init", "x")]
    [InlineData("does not use --target-loss", "sweep", "--data", "d", "--out", "o", "--target-loss", "0.1")]
    [InlineData("argument 2 is empty", "circuit", "show", "")]
    [InlineData("'f' belongs to no flag", "generate", "--model", "m", "--prompt", "def", "f")]
    [InlineData("--lr is given twice", "train", "--lr", "1", "--lr", "2")]
    [InlineData("--dense takes no value", "train", "--dense=false")]
    [InlineData("'false' belongs to no flag", "train", "--dense", "false")]
    [InlineData("--out is followed by --all-tasks", "prune", "--out", "--all-tasks")]
    [InlineData("'-x' is no flag", "train", "-x")]
    [InlineData("no flag --speed", "train", "--speed", "9")]
    [InlineData("does not use --lr, --out, --tokens", "train", "--resume", "m", "--tokens", "40960", "--lr", "5", "--out", "elsewhere")]
    [InlineData("does not use --steps, --target-loss", "prune", "--resume", "p", "--steps", "5", "--target-loss", "0.5")]
    [InlineData("does not use --lr", "bridge", "train", "--resume", "b", "--lr", "5")]
    [InlineData("does not use --lr, --untrained", "bridge", "steer", "--untrained", "--lr", "1")]
    [InlineData("does not use --device", "circuit", "show", "c.json", "--device", "cuda")]
    [InlineData("does not use --format", "circuit", "edit", "c.json", "--format", "dot")]
    [InlineData("does not use --model", "tasks", "show", "single_double_quote", "--model", "m")]
    [InlineData("takes no names", "tasks", "list", "single_double_quote")]
    [InlineData("does not use --megabytes", "corpus", "--from", "x", "--megabytes", "3", "--out", "y")]
    [InlineData("does not use --vocabulary", "corpus", "--from", "x", "--tokenizer", "t", "--vocabulary", "300", "--out", "y")]
    [InlineData("does not use --separate-brackets", "corpus", "--from", "x", "--tokenizer", "t", "--separate-brackets", "--out", "y")]
    [InlineData("does not use --dilute", "tasks", "list", "--dilute", "3")]
    [InlineData("for_while cannot be diluted", "tasks", "show", "for_while", "--dilute", "3")]
    [InlineData("--dilute is -1", "tasks", "show", "bracket_counting", "--dilute", "-1")]
    [InlineData("does not use --text", "tokenizer", "train", "--from", "x", "--text", "y", "--out", "z")]
    [InlineData("does not use --port", "view", "--run", "x", "--html", "y", "--port", "80")]
    [InlineData("does not use --mean-batches", "trace", "--model", "m", "--ids", "[1]", "--out", "x", "--mean-batches", "3")]
    [InlineData("does not use --phase", "bench", "kernels", "--phase", "mid")]
    [InlineData("--all-tasks contradicts --task", "prune", "--all-tasks", "--task", "for_while")]
    [InlineData("trains no mask", "prune", "--model", "m", "--task", "for_while", "--method", "attribution", "--steps", "5", "--out", "x")]
    public void WhatIsGivenIsUsed(string expected, params string[] arguments) => CommandLine.Refuse(expected, arguments);

    /// <summary>Flags that other flags, settings or files leave without effect.</summary>
    [Theory]
    [InlineData("--gradient-clip-rms: gradient_scaling is normalize", "train", "--data", "DATA", "--dry-run", "--gradient-clip-rms", "2")]
    [InlineData(
        "--pfrac-anneal-exponent: pfrac_anneal_mode is power_law",
        "train",
        "--data",
        "DATA",
        "--dry-run",
        "--pfrac-anneal-mode",
        "power_law",
        "--pfrac-anneal-exponent",
        "2"
    )]
    [InlineData(
        "--pfrac-anneal-stop-frac: pfrac_anneal is false",
        "train",
        "--data",
        "DATA",
        "--dry-run",
        "--pfrac-anneal",
        "false",
        "--pfrac-anneal-stop-frac",
        "0.3"
    )]
    [InlineData(
        "--minimum-alive, --sparse-biases: the model is dense",
        "train",
        "--data",
        "DATA",
        "--dry-run",
        "--dense",
        "--sparse-biases",
        "true",
        "--minimum-alive",
        "2"
    )]
    [InlineData(
        "--pfrac-anneal-mode: the model is dense",
        "train",
        "--data",
        "DATA",
        "--dry-run",
        "--dense",
        "--pfrac-anneal-mode",
        "linear"
    )]
    [InlineData(
        "--compare-weights-every: there is one process only",
        "train",
        "--data",
        "DATA",
        "--dry-run",
        "--compare-weights-every",
        "5"
    )]
    [InlineData("does not use --seed, --top-k", "generate", "--model", "MODEL", "--temperature", "0", "--top-k", "3", "--seed", "2")]
    [InlineData("generate does not use the data folder", "generate", "--model", "MODEL", "--data", "DATA")]
    [InlineData("tasks eval does not use the data folder", "tasks", "eval", "--model", "MODEL", "--data", "DATA")]
    [InlineData(
        "does not use --data, --tokenizer",
        "trace",
        "--model",
        "MODEL",
        "--ids",
        "[1]",
        "--data",
        "DATA",
        "--tokenizer",
        "DATA",
        "--out",
        "OUT"
    )]
    [InlineData("does not use the data folder", "trace", "--model", "MODEL", "--text", "x", "--data", "DATA", "--out", "OUT")]
    [InlineData("does not use --device", "devices", "--emit", "OUT", "--device", "cuda")]
    [InlineData("devices does not use --precision", "devices", "--check", "--precision", "tf32")]
    [InlineData("--search", "prune", "--model", "MODEL", "--task", "for_while", "--method", "attribution", "--search", "5", "--out", "OUT")]
    [InlineData(
        "method attribution of CONFIG trains no mask",
        "prune",
        "--model",
        "MODEL",
        "--task",
        "for_while",
        "--config",
        "CONFIG",
        "--steps",
        "5",
        "--out",
        "OUT"
    )]
    [InlineData("--glob *.py chooses among the files of folders", "corpus", "--from", "CONFIG.txt", "--glob", "*.py", "--out", "OUT")]
    [InlineData("column body", "corpus", "--from", "CONFIG.txt", "--column", "body", "--out", "OUT")]
    [InlineData("t cannot be diluted", "tasks", "show", "TASK", "--dilute", "2")]
    [InlineData("--distractor-lines: the prompts of files", "tasks", "show", "TASK", "--distractor-lines", "2")]
    public void WhatHasNoEffectIsRefused(string expected, params string[] arguments)
    {
        string config = run["attribution.json"],
            task = run["of a file.json"];
        File.WriteAllText(config, """{"method": "attribution"}""");
        File.WriteAllText(config + ".txt", "text");
        File.WriteAllText(
            task,
            """{"format_version":1,"name":"t","description":"","train":[{"prompt":"a","right":"b","wrong":"c"}],"test":[{"prompt":"d","right":"b","wrong":"c"}]}"""
        );
        CommandLine.Refuse(
            expected.Replace("CONFIG", config, StringComparison.Ordinal),
            [
                .. arguments.Select(argument =>
                    argument switch
                    {
                        "MODEL" => run.Model,
                        "DATA" => run.Data,
                        "OUT" => run["never made"],
                        "TASK" => task,
                        _ => argument.Replace("CONFIG", config, StringComparison.Ordinal),
                    }
                ),
            ]
        );
        Assert.False(Directory.Exists(run["never made"]), "A refused run left a folder.");
    }

    /// <summary>The same flags where they have an effect.</summary>
    [Fact]
    public void WhatHasAnEffectIsTaken()
    {
        CommandLine.Succeed("train", "--data", run.Data, "--dry-run", "--dense", "--gradient-scaling", "clip", "--gradient-clip-rms", "2");
        CommandLine.Succeed(
            "train",
            "--data",
            run.Data,
            "--dry-run",
            "--pfrac-anneal-exponent",
            "2",
            "--minimum-alive",
            "2",
            "--sparse-biases",
            "false"
        );
        Assert.Equal(25, CommandLine.Succeed("tasks", "show", "for_while", "--pairs", "25").Split("--- for_while").Length - 1);
        Assert.Matches(@"(, \d){9}\[\]\]\n", CommandLine.Succeed("tasks", "show", "bracket_counting", "--dilute", "9"));
        string tokenizer = run["separate"];
        CommandLine.Succeed("tokenizer", "train", "--from", run.Data, "--vocabulary", "300", "--out", run["joined"]);
        CommandLine.Succeed("tokenizer", "train", "--from", run.Data, "--vocabulary", "300", "--separate-brackets", "--out", tokenizer);
        Assert.Equal("#version: 0.2, separate brackets", File.ReadLines(Path.Combine(tokenizer, "vocab.bpe")).First());
        Assert.Equal("#version: 0.2", File.ReadLines(Path.Combine(run["joined"], "vocab.bpe")).First());
    }

    [Fact]
    public void AFlagTakesTheNextArgumentAsItsValueWhateverItBeginsWith()
    {
        string[] show = ["tokenizer", "show", "--from", Path.Combine(run.Data, "tokenizer")];
        Assert.Equal(Tokens("-x = 1"), CommandLine.Succeed([.. show, "--text", "-x = 1"]));
        Assert.Contains("'-'", Tokens("-x = 1"), StringComparison.Ordinal);
        foreach (string text in new[] { "--", "--from", "- item", "-a\nb", "--help", "=" })
        {
            Assert.Equal(Tokens(text), CommandLine.Succeed([.. show, "--text", text]));
            Assert.Equal(
                text,
                CommandLine.Succeed("generate", "--model", run.Model, "--tokens", "1", "--temperature", "0", "--prompt", text)[
                    ..text.Length
                ]
            );
        }

        string Tokens(string text) => CommandLine.Succeed([.. show, $"--text={text}"]);
    }

    [Fact]
    public void AnEmptyPromptIsTheBeginningOfADocument() =>
        Assert.NotEmpty(
            CommandLine.Succeed("generate", "--model", run.Model, "--tokens", "3", "--temperature", "0", "--prompt", "").TrimEnd('\n')
        );

    [Fact]
    public void DeviceNamesAndListsMayBeWrittenAsPeopleWriteThem()
    {
        CommandLine.Succeed("generate", "--model", run.Model, "--tokens", "1", "--device", "CPU");
        CommandLine.Refuse(
            "there is no task 'fly'",
            "prune",
            "--model",
            run.Model,
            "--task",
            "single_double_quote, fly",
            "--out",
            run["lists"]
        );
    }
}
