namespace Sparsity.Core.Corpora;

/// <summary>The words that synthetic modules and task prompts are made of.</summary>
internal static class PythonNames
{
    public static readonly string[] Nouns =
    [
        "item", "value", "name", "path", "line", "word", "row", "column", "node", "edge", "file", "page", "user", "order", "price", "total", "count", "index", "key", "label",
        "token", "score", "point", "group", "field", "entry", "record", "message", "result", "buffer", "table", "list", "tree", "graph", "queue", "stack", "cache", "color", "shape", "size",
        "width", "height", "length", "weight", "depth", "level", "color", "text", "title", "author", "book", "city", "country", "street", "phone", "email", "image", "video", "song", "game",
        "player", "team", "match", "round", "season", "event", "task", "job", "worker", "client", "server", "request", "response", "session", "account", "balance", "payment", "invoice", "product", "stock",
    ];

    public static readonly string[] Verbs =
    [
        "get", "set", "load", "save", "read", "write", "find", "make", "build", "check", "count", "parse", "format", "render", "send", "fetch", "update", "remove", "insert", "append",
        "merge", "split", "join", "sort", "filter", "select", "compute", "convert", "copy", "move", "open", "close", "start", "stop", "show", "print", "draw", "test", "run", "apply",
    ];

    public static readonly string[] Adjectives =
    [
        "new", "old", "first", "last", "next", "best", "worst", "main", "other", "small", "large", "short", "long", "full", "empty", "raw", "clean", "local", "remote", "public",
        "private", "active", "ready", "done", "open", "final", "total", "current", "default", "simple", "common", "daily", "hidden", "linked", "nested", "random", "sorted", "unique", "valid", "visible",
    ];

    public static readonly string[] Letters = ["a", "b", "c", "d", "i", "j", "k", "n", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"];

    public static readonly string[] Files =
    [
        "input", "output", "data", "config", "report", "notes", "users", "orders", "prices", "names", "lines", "words", "table", "index", "backup", "result", "summary", "log", "cache", "state",
    ];

    public static readonly string[] Extensions = ["txt", "csv", "json", "log", "dat", "xml"];

    public static readonly string[] Modules = ["os", "re", "sys", "json", "math", "time", "random", "string", "typing", "itertools", "functools", "collections", "logging", "datetime", "pathlib"];
}

/// <summary>Draws the small parts of Python text.</summary>
internal sealed class PythonParts(RandomSource random)
{
    public RandomSource Random { get; } = random;

    /// <summary>A variable: a noun, an adjective and a noun, or at times one letter.</summary>
    public string Variable() => Random.NextInt(10) switch
    {
        < 6 => Random.Pick(PythonNames.Nouns),
        < 9 => Random.Pick(PythonNames.Adjectives) + "_" + Random.Pick(PythonNames.Nouns),
        _ => Random.Pick(PythonNames.Letters),
    };

    /// <summary>A variable that is not <paramref name="other"/>.</summary>
    public string VariableBut(string other)
    {
        while (true)
        {
            string name = Variable();
            if (name != other)
            {
                return name;
            }
        }
    }

    /// <summary>A function's name.</summary>
    public string Function() => Random.NextInt(4) == 0 ? Random.Pick(PythonNames.Verbs) : Random.Pick(PythonNames.Verbs) + "_" + Random.Pick(PythonNames.Nouns);

    public string ClassName()
    {
        string noun = Random.Pick(PythonNames.Nouns);
        string adjective = Random.Pick(PythonNames.Adjectives);
        return Upper(adjective) + Upper(noun);
    }

    public string Number() => Random.NextInt(Random.NextInt(3) == 0 ? 100 : 10).ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>One to <paramref name="most"/> words.</summary>
    public string Words(int most = 4)
    {
        int count = 1 + Random.NextInt(most);
        return string.Join(" ", Enumerable.Range(0, count).Select(_ => Word()));
    }

    public string Word() => Random.NextInt(3) switch
    {
        0 => Random.Pick(PythonNames.Adjectives),
        1 => Random.Pick(PythonNames.Verbs),
        _ => Random.Pick(PythonNames.Nouns),
    };

    /// <summary>A string literal with either kind of quotes.</summary>
    public string Literal(int mostWords = 3)
    {
        char quote = Random.NextBool() ? '"' : '\'';
        return quote + Words(mostWords) + quote;
    }

    /// <summary>Numbers or names, separated by commas.</summary>
    public string Items(int least, int most)
    {
        int count = least + Random.NextInt(most - least + 1);
        bool numbers = Random.NextInt(3) > 0;
        return string.Join(", ", Enumerable.Range(0, count).Select(_ => numbers ? Number() : Random.Pick(PythonNames.Letters)));
    }

    public string FlatList() => "[" + Items(2, 7) + "]";

    public string NestedList() => "[" + string.Join(", ", Enumerable.Range(0, 2 + Random.NextInt(2)).Select(_ => "[" + Items(1, 3) + "]")) + "]";

    /// <summary>What follows a closed list or call on its line: nothing, a comment, or the rest of an expression.</summary>
    public string Follower() => Random.NextInt(6) switch
    {
        0 => "",
        1 => "  # " + Words(3),
        2 => " if " + Variable() + " else None",
        3 => " + " + Variable(),
        4 => " or " + Variable(),
        _ => " and " + Variable(),
    };

    private static string Upper(string word) => char.ToUpperInvariant(word[0]) + word[1..];
}
