using Sparsity.Core;

namespace Sparsity.Cli;

/// <summary>What help says of a verb, or of one of a verb's actions.</summary>
/// <param name="Name">The verb, or verb and action: "circuit edit".</param>
/// <param name="Sentence">What it does.</param>
/// <param name="Usage">What is typed after the program's name.</param>
/// <param name="Examples">Two command lines or more, without the program's name.</param>
/// <param name="Flags">Of an action, the flags that it takes, without the dashes; null for all of the verb's.</param>
internal sealed record ManualPage(string Name, string Sentence, string Usage, string[] Examples, string[]? Flags = null);

/// <summary>The pages of help, in the order in which the program is got to know. Flags are described where verbs declare them.</summary>
internal static class Manual
{
    private static readonly string[] Engine = ["device", "threads", "precision"];
    private static readonly string[] Model = ["model", "data", "tokenizer"];
    private static readonly string[] Bridged = [.. Model, "dense", "out", .. Engine];

    public static IReadOnlyList<ManualPage> Pages { get; } =
    [
        new(
            "demo",
            "Train a sparse and a dense model of equal loss, find their circuits and write a report, in minutes on a CPU.",
            "demo [--minutes N | --model DIR] [--out DIR] [--seed N]",
            ["demo", "demo --minutes 1 --out runs/quick"]
        ),
        new(
            "corpus",
            "Make a data folder: text, a tokenizer, and tokens for training and validation.",
            "corpus (--from PATH ... | --synthetic) --out DIR",
            ["corpus --from src lib --separate-brackets --out data/code", "corpus --synthetic --megabytes 12 --out data/synthetic"]
        ),
        new(
            "train",
            "Train a weight-sparse transformer on a data folder, or with --dense an ordinary one.",
            "train --data DATA --out DIR [flags]",
            [
                "train --data data/code --tokens 10000000 --density 0.03125 --out runs/sparse",
                "train --data data/code --dense --d-model 64 --out runs/dense",
                "train --resume runs/sparse",
            ]
        ),
        new(
            "eval",
            "Measure a model's loss and statistics on validation tokens.",
            "eval --model DIR [--data DATA]",
            ["eval --model runs/sparse", "eval --model released/csp_yolo1 --data data/code"]
        ),
        new(
            "generate",
            "Let a model continue a text.",
            "generate --model DIR [--prompt TEXT] [flags]",
            ["generate --model runs/sparse --prompt 'def '", "generate --model runs/sparse --tokens 200 --temperature 0"]
        ),
        new(
            "tasks",
            "Show the tasks that circuits are found for, and how well a model does them.",
            "tasks (list | show | eval) [flags]",
            ["tasks list", "tasks eval --model runs/sparse"]
        ),
        new("tasks list", "List the program's own tasks.", "tasks list", ["tasks list", "tasks list --json tasks.json"], ["json"]),
        new(
            "tasks show",
            "Show prompts of tasks.",
            "tasks show TASK ... [flags]",
            ["tasks show bracket_counting --pairs 5", "tasks show tasks/stories/gender.json"],
            ["pairs", "distractor-lines", "dilute", "seed", "json"]
        ),
        new(
            "tasks eval",
            "Measure a model's loss and accuracy on tasks; on all of them where none is named.",
            "tasks eval [TASK ...] --model DIR [flags]",
            ["tasks eval --model runs/sparse", "tasks eval bracket_counting --model runs/sparse --pairs 256 --dilute 4"],
            [.. Model, "loss", "pairs", "max-tokens", "distractor-lines", "dilute", "seed", "json", .. Engine]
        ),
        new(
            "prune",
            "Find the circuits of tasks in a model.",
            "prune --model DIR (--task TASK,... | --all-tasks) --out DIR [flags]",
            [
                "prune --model runs/sparse --task single_double_quote --out runs/quote",
                "prune --model runs/sparse --all-tasks --faithfulness --out runs/circuits",
                "prune --resume runs/circuits",
            ]
        ),
        new(
            "circuit",
            "Look at circuits, compare them, export and edit them, and import those that OpenAI released.",
            "circuit (show | compare | export | edit | import) FILE ... [flags]",
            ["circuit show runs/quote/circuit.json", "circuit compare runs/one/circuit.json runs/two/circuit.json"]
        ),
        new(
            "circuit show",
            "List a circuit's nodes, with their strongest edges, and its losses.",
            "circuit show FILE",
            ["circuit show runs/quote/circuit.json", "circuit show runs/quote/circuit.json | less"],
            []
        ),
        new(
            "circuit compare",
            "Count the nodes and edges that circuits share.",
            "circuit compare FILE FILE ... [--json FILE]",
            [
                "circuit compare runs/one/circuit.json runs/two/circuit.json",
                "circuit compare runs/one/circuit.json runs/two/circuit.json runs/three/circuit.json --json overlap.json",
            ],
            ["json"]
        ),
        new(
            "circuit export",
            "Write a circuit in a format that other programs read.",
            "circuit export FILE [--format FORMAT] [--out FILE]",
            [
                "circuit export runs/quote/circuit.json --format graphml --out quote.graphml",
                "circuit export runs/quote/circuit.json --format csv",
            ],
            ["format", "out"]
        ),
        new(
            "circuit edit",
            "Take nodes out of a circuit, and measure what is left.",
            "circuit edit FILE --remove NODE,... --out DIR [flags]",
            [
                "circuit edit runs/quote/circuit.json --remove 0.attn.v.6 --out runs/edited",
                "circuit edit runs/quote/circuit.json --remove 0.attn.v.6,1.mlp.post_act.3 --model runs/sparse --out runs/edited",
            ],
            ["remove", .. Model, "task", "out", .. Engine]
        ),
        new(
            "circuit import",
            "Import circuits of OpenAI's release, and measure them in their model.",
            "circuit import (FILE | DIR) --model DIR --out DIR [flags]",
            [
                "circuit import released/viz/csp_yolo1 --model released/models/csp_yolo1 --out runs/released",
                "circuit import viz_data.pt --model released/models/csp_yolo1 --task single_double_quote --out runs/quote",
            ],
            [.. Model, "task", "answers", "means", "out", .. Engine]
        ),
        new(
            "view",
            "Look at circuits in a browser: one page in a file, or a local server with live ablation.",
            "view (--circuit FILE --html FILE | --run DIR [--html FILE]) [flags]",
            ["view --run runs", "view --circuit runs/quote/circuit.json --html quote.html"]
        ),
        new(
            "trace",
            "Record activations, logits and gradients of a model, as it is or with single channels changed.",
            "trace --model DIR (--text TEXT | --ids IDS) --out DIR [flags]",
            [
                "trace --model runs/sparse --text 'def f(x):' --out runs/trace",
                "trace --model runs/sparse --ids '[1, 2, 3]' --sites '*.mlp.post_act' --set 0.attn.q:3=0.5 --out runs/trace",
            ]
        ),
        new(
            "bridge",
            "Couple a dense and a sparse model by linear maps between their residuals, and steer the one by the other.",
            "bridge (train | eval | steer) [flags]",
            ["bridge train --dense runs/dense --data data/code --out runs/bridges", "bridge eval --model runs/bridges"]
        ),
        new(
            "bridge train",
            "Train a sparse model together with bridges to a dense one.",
            "bridge train --dense DIR --out DIR [flags]",
            ["bridge train --dense runs/dense --init runs/sparse --out runs/bridges", "bridge train --resume runs/bridges"],
            [
                "dense",
                "out",
                "resume",
                "data",
                "tokenizer",
                "seed",
                "init",
                "config",
                "tokens",
                "batch",
                "context",
                "lr",
                "bridge-lr",
                "density",
                "minimum-alive",
                "d-model",
                "d-mlp",
                .. Engine,
            ]
        ),
        new(
            "bridge eval",
            "Measure the errors of bridges, and the losses of models that change over from one to the other.",
            "bridge eval --model DIR [flags]",
            ["bridge eval --model runs/bridges", "bridge eval --model runs/bridges --untrained --out runs/untrained"],
            [.. Bridged, "untrained"]
        ),
        new(
            "bridge steer",
            "Edit the dense model by a node of the sparse one, and see how its answers move.",
            "bridge steer --model DIR --node NODE,... (--task TASK | --presented TEXT --counterfactual TEXT ...) [flags]",
            [
                "bridge steer --model runs/bridges --node 1.mlp.act_in.37 --task single_double_quote --out runs/steering",
                "bridge steer --model runs/bridges --node 1.mlp.act_in.37 --presented \"print('a\" --counterfactual 'print(\"a' "
                    + "--presented-answer \"')\" --counterfactual-answer '\")'",
            ],
            [
                .. Bridged,
                "seed",
                "node",
                "task",
                "swap",
                "pairs",
                "presented",
                "counterfactual",
                "presented-answer",
                "counterfactual-answer",
                "strengths",
                "random",
            ]
        ),
        new(
            "reproduce",
            "Make a figure of the paper anew, from training to plot. Given again, the command goes on where it was stopped.",
            "reproduce --figure NAME --budget MINUTES --out DIR [flags]",
            ["reproduce --list", "reproduce --figure size-vs-loss --budget 30 --out runs/paper"]
        ),
        new(
            "sweep",
            "Train a model for every combination of settings, and compare them. Given again, the command goes on where it was stopped.",
            "sweep --data DATA --FLAG VALUE,... --out DIR",
            [
                "sweep --data data/code --lr 0.01,0.03 --density 0.25,0.0625 --seed 1,2,3 --list",
                "sweep --data data/code --sink true,false --prune bracket_counting --out runs/sinks",
            ]
        ),
        new(
            "merge",
            "Join the shards of prune, reproduce or sweep into the folder that one run would have made.",
            "merge --from DIR,... --out DIR",
            ["merge --from runs/shards --out runs/whole", "merge --from runs/one,runs/two --out runs/whole"]
        ),
        new(
            "convert",
            "Write a model in another kind of folder: official, huggingface, replication, run or packed.",
            "convert --from DIR --to KIND --out DIR",
            [
                "convert --from released/csp_yolo1 --to huggingface --out converted",
                "convert --from runs/sparse --to official --out converted",
                "convert --from runs/sparse --to packed --data data/code --out small",
            ]
        ),
        new(
            "tokenizer",
            "Train, import, export or show a tokenizer.",
            "tokenizer (train | import | export | show) --from DIR [flags]",
            ["tokenizer train --from data/code --vocabulary 1024 --out tokenizer", "tokenizer show --from tokenizer --text 'def f():'"]
        ),
        new(
            "tokenizer train",
            "Train a byte-level BPE tokenizer on the text of a data folder.",
            "tokenizer train --from DATA --out DIR [flags]",
            [
                "tokenizer train --from data/code --out tokenizer",
                "tokenizer train --from data/code --vocabulary 1024 --separate-brackets --out tokenizer",
            ],
            ["from", "vocabulary", "separate-brackets", "out"]
        ),
        new(
            "tokenizer import",
            "Check a tokenizer's files, and copy them.",
            "tokenizer import --from DIR --out DIR",
            ["tokenizer import --from released/csp_yolo1 --out tokenizer", "tokenizer import --from gpt2 --out tokenizer"],
            ["from", "out"]
        ),
        new(
            "tokenizer export",
            "Write a tokenizer in a format for other programs.",
            "tokenizer export --from DIR --out DIR [--format FORMAT]",
            ["tokenizer export --from tokenizer --out exported", "tokenizer export --from tokenizer --format gpt2 --out exported"],
            ["from", "format", "out"]
        ),
        new(
            "tokenizer show",
            "Show a text as tokens.",
            "tokenizer show --from DIR --text TEXT",
            ["tokenizer show --from tokenizer --text 'def f():'", "tokenizer show --from data/code --text '[[1, 2], [3]]'"],
            ["from", "text", "json"]
        ),
        new(
            "devices",
            "Show the engines and devices there are, and which one 'auto' takes; prove a device's kernels right.",
            "devices [--check] [flags]",
            ["devices", "devices --check --device cuda:0 --json check.json"]
        ),
        new(
            "bench",
            "Measure speed against what the machine can do.",
            "bench (train | prune | generate | kernels) [flags]",
            ["bench train --size S", "bench kernels --size L --json kernels.json"]
        ),
        new(
            "bench train",
            "Measure training steps, with the time of each kernel.",
            "bench train [flags]",
            ["bench train --size S", "bench train --size L --phase dense --steps 20 --json train.json"],
            ["size", "phase", "batch-parts", "steps", "json", .. Engine]
        ),
        new(
            "bench prune",
            "Measure steps of mask training.",
            "bench prune [flags]",
            ["bench prune --size S", "bench prune --size M --steps 20"],
            ["size", "phase", "steps", "json", .. Engine]
        ),
        new(
            "bench generate",
            "Measure generated tokens.",
            "bench generate [flags]",
            ["bench generate --size S", "bench generate --size S --steps 256"],
            ["size", "phase", "steps", "json", .. Engine]
        ),
        new(
            "bench kernels",
            "Measure each operation by itself, against what the device can do.",
            "bench kernels [flags]",
            ["bench kernels --size S", "bench kernels --size L --device cuda:0"],
            ["size", "steps", "json", .. Engine]
        ),
        new(
            "completion",
            "Print a script by which a shell completes verbs, actions and flags.",
            "completion (bash | zsh | powershell)",
            ["completion bash > ~/.local/share/bash-completion/completions/sparsity", "completion powershell >> $PROFILE"]
        ),
    ];

    /// <summary>Names of a verb's actions, in order; none where it has none.</summary>
    public static string[] Actions(string verb) =>
        [
            .. Pages
                .Select(page => page.Name)
                .Where(name => name.StartsWith(verb + " ", StringComparison.Ordinal))
                .Select(name => name[(verb.Length + 1)..]),
        ];

    /// <summary>The page of a verb, or of one of its actions; null where there is none.</summary>
    public static ManualPage? Find(string verb, string? action = null) =>
        Pages.FirstOrDefault(page => page.Name == (action is null ? verb : $"{verb} {action}"));

    /// <summary>The flags that an action takes, without the dashes.</summary>
    /// <exception cref="BadInputException">The verb has no such action.</exception>
    public static string[] Flags(string verb, string action) =>
        Find(verb, action)?.Flags
        ?? throw new BadInputException(
            $"{verb}: '{action}' is no action; use {Spelling.OneOf(Actions(verb))}.{Spelling.Suggestion(action, Actions(verb))}"
        );
}
