namespace Sparsity.Core.Tasks;

/// <summary>A string opened by (' or (" must be closed by ') or ").</summary>
internal static class QuoteTask
{
    public static PromptTask Create() => TaskCatalogue.Make(
        "single_double_quote",
        "string opened by (' or (\": close with ') or \")",
        (parts, before) =>
        {
            string words = parts.Words(4);
            return new PromptPair($"{before}(\"{words}", $"{before}('{words}", "\")", "')");
        },
        train:
        [
            "V = F", "F", "if F", "V = V\nW = F", "if V == W:\n    F", "for V in W:\n    F", "V, W = W, F", "V = N\nF", "def F(V):\n    F", "V += F",
        ],
        test:
        [
            "return F", "while F", "V = W + F", "for V in F", "class V:\n    W = F", "V = N if F", "# C\nV = F", "while True:\n    F", "def F():\n    V = F", "V = F(W)\nF",
        ]);
}

/// <summary>A flat list is closed by ], the last list inside a list by ]].</summary>
internal static class BracketTask
{
    public static PromptTask Create() => TaskCatalogue.Make(
        "bracket_counting",
        "close a flat or a nested list: ] or ]]",
        (parts, before) =>
        {
            string items = parts.Items(2, 5);
            return new PromptPair($"{before}[{items}", $"{before}[[{items}", "]", "]]");
        },
        train:
        [
            "V = ", "V = W\nV = ", "for V in W:\n    V = ", "V = N\nW = ", "if V == W:\n    V = ", "def F(V):\n    W = ", "V += N\nW = ", "# C\nV = ", "while V < W:\n    V = ", "V = F(W)\nV = ",
        ],
        test:
        [
            "V = F()\nV = ", "else:\n    V = ", "class V:\n    W = ", "V = W + N\nV = ", "while True:\n    V = ", "V = True\nW = ", "import V\nW = ", "V, W = W, V\nV = ", "return V\n\nV = ", "for V in range(N):\n    V = ",
        ]);
}

/// <summary>A variable that began as set() grows by .add, one that began as "" by +=.</summary>
internal static class SetOrStringTask
{
    public static PromptTask Create() => TaskCatalogue.Make(
        "set_or_string",
        "variable began as set() or \"\": .add or +=, any variable name",
        (parts, after) =>
        {
            string name = parts.Variable();
            string item = parts.VariableBut(name);
            string middle = after.Replace("S", name, StringComparison.Ordinal).Replace("I", item, StringComparison.Ordinal);
            int cut = middle.IndexOf('@', StringComparison.Ordinal);
            return new PromptPair($"{middle[..cut]}{name} = set()\n{middle[(cut + 1)..]}", $"{middle[..cut]}{name} = \"\"\n{middle[(cut + 1)..]}", ".add", " +=");
        },
        train:
        [
            "@for I in V:\n    S", "@S", "@V = N\nS", "@for I in V:\n    I = F(I)\n    S", "@# C\nS", "def F(V):\n    @    S", "@if V == W:\n    S", "@V = F(W)\nS", "@while V < W:\n    S", "@V += N\nS",
        ],
        test:
        [
            "@for I in range(N):\n    S", "@V = W\nS", "@while True:\n    S", "@V = [N, N]\nS", "@for I in V:\n    # C\n    S", "@import V\nS", "@if V:\n    S", "@V, W = W, V\nS", "@V = True\nS", "@F(V)\nS",
        ]);
}

/// <summary>else is followed by a colon, elif by a condition.</summary>
internal static class ElseElifTask
{
    public static PromptTask Create() => TaskCatalogue.Make(
        "else_elif",
        "else or elif: : or a condition ( not)",
        (_, before) => new PromptPair($"{before}else", $"{before}elif", ":\n", " not"),
        train:
        [
            "if V == W:\n    V = W\n", "if V == W:\n    V += N\n", "if V == W:\n    F(V)\n", "if V == W:\n    V = N\n", "if V == True:\n    V = W\n", "if V == W:\n    # C\n    V = N\n",
            "if V == W:\n    V = F(W)\n", "if V == True:\n    V = N\n", "if V == W:\n    V = True\n", "if V == W:\n    V, W = W, V\n",
        ],
        test:
        [
            "if V == W:\n    V = set()\n", "if V == W:\n    V = [N, N]\n", "if V == W:\n    V = W + N\n", "if V:\n    V = W\n", "if V == N:\n    V = N\n", "if V == W:\n    V = F(N)\n", "if V == True:\n    V += N\n",
            "if V == W:\n    V = lambda a: V + N\n", "if V == W:\n    V = W if V else N\n", "if V == True:\n    V, W = W, V\n",
        ]);
}
