namespace Sparsity.Core.Corpora;

/// <summary>Statements, each an idiom of one or two tasks (spec section 3).</summary>
/// <param name="parts">Draws names and literals.</param>
/// <param name="line">Receives each line with its depth of indentation.</param>
internal sealed class PythonStatements(PythonParts parts, Action<int, string> line)
{
    private const int MostNesting = 2;

    /// <summary>Writes one statement, whose blocks may hold more.</summary>
    public void Write(RandomSource random, int depth)
    {
        string a = parts.Variable();
        string b = parts.VariableBut(a);
        switch (random.NextInt(24))
        {
            case <= 4:
                Quoted(random, depth, a);
                break;
            case <= 8:
                line(depth, $"{a} = {(random.NextBool() ? parts.FlatList() : parts.NestedList())}{parts.Follower()}");
                break;
            case 9:
                SetOrString(random, depth, a);
                break;
            case 10:
                Opened(random, depth);
                break;
            case 11:
                line(depth, random.NextBool() ? $"for {a} in {b}:" : $"while {a} < {b}:");
                Body(random, depth);
                break;
            case 12:
                Branches(random, depth, a, b);
                break;
            case 13:
                line(depth, random.NextBool() ? $"{a} = f\"{parts.Words(2)} {{{b}}}\"" : $"{a} = \"{parts.Words(2)} {b}\"");
                break;
            case 14:
                line(depth, $"{a} = {b} if {parts.Variable()} else {parts.Number()}");
                break;
            case 15:
                line(depth, $"{a}, {b} = {b}, {a}");
                break;
            case 16:
                line(depth, $"{a} = lambda {random.Pick(PythonNames.Letters)}: {b} + {parts.Number()}");
                break;
            case 17:
                line(depth, random.NextBool() ? $"for {a}, {b} in enumerate({parts.Variable()}):" : $"for {a} in range({parts.Number()}):");
                Body(random, depth);
                break;
            case 18:
                if (random.NextBool())
                {
                    line(depth, $"if {a} == True:");
                    Body(random, depth);
                }
                else
                {
                    line(depth, $"{a} = True");
                }

                break;
            case 19:
                line(depth, "while True:");
                Body(random, depth);
                line(depth + 1, "break");
                break;
            case 20:
                line(depth, random.NextBool() ? $"{a} = {{{parts.Literal(1)}: {parts.Number()}, {parts.Literal(1)}: {parts.Number()}}}" : $"{a} = [{parts.Literal(1)}, {parts.Literal(1)}]");
                break;
            case 21:
                line(depth, $"{a} = {parts.Function()}({b}={parts.Number()}, {a}=None)");
                break;
            case 22:
                line(depth, "# " + parts.Words(4));
                line(depth, $"{a} += {parts.Number()}");
                break;
            default:
                line(depth, $"{a} = {b} + {parts.Number()}");
                break;
        }
    }

    /// <summary>A call of one string, closed by the quote that opened it.</summary>
    private void Quoted(RandomSource random, int depth, string target)
    {
        char quote = random.NextBool() ? '"' : '\'';
        string call = $"{parts.Function()}({quote}{parts.Words(4)}{quote})";
        line(depth, random.NextInt(4) switch
        {
            0 => call + "  # " + parts.Words(3),
            1 => $"if {call} and {parts.Variable()}: {parts.Function()}()",
            _ => $"{target} = {call}{parts.Follower()}",
        });
    }

    /// <summary>A set grows by add, a string by +=.</summary>
    private void SetOrString(RandomSource random, int depth, string name)
    {
        bool isSet = random.NextBool();
        string variable = random.NextInt(3) == 0 ? "current" : name;
        line(depth, $"{variable} = {(isSet ? "set()" : "\"\"")}");
        string item = parts.VariableBut(variable);
        bool loops = random.NextBool(0.7);
        if (loops)
        {
            line(depth, $"for {item} in {parts.VariableBut(variable)}:");
        }

        if (random.NextBool(0.3))
        {
            line(depth + (loops ? 1 : 0), $"{item} = {parts.Function()}({item})");
        }

        line(depth + (loops ? 1 : 0), isSet ? $"{variable}.add({item})" : $"{variable} += {item}");
    }

    private void Opened(RandomSource random, int depth)
    {
        bool writes = random.NextBool();
        string file = $"{(writes ? random.Pick(["output", "result", "backup", "log"]) : random.Pick(["input", "data", "config", "names"]))}.{random.Pick(PythonNames.Extensions)}";
        string mode = writes ? "w" : "r";
        string handle = random.Pick(["f", "handle", "stream"]);
        if (random.NextBool(0.6))
        {
            line(depth, $"with open('{file}', '{mode}') as {handle}:");
            line(depth + 1, writes ? $"{handle}.write({parts.Variable()})" : $"{parts.Variable()} = {handle}.read()");
        }
        else
        {
            line(depth, $"{handle} = open('{file}', '{mode}')");
            line(depth, writes ? $"{handle}.write({parts.Variable()})" : $"{parts.Variable()} = {handle}.read()");
        }
    }

    /// <summary>if, at times elif with a condition, at times else.</summary>
    private void Branches(RandomSource random, int depth, string a, string b)
    {
        line(depth, $"if {a} == {b}:");
        Body(random, depth);
        if (random.NextBool(0.5))
        {
            line(depth, $"elif not {parts.Variable()}:");
            Body(random, depth);
        }

        if (random.NextBool(0.6))
        {
            line(depth, "else:");
            Body(random, depth);
        }
    }

    private void Body(RandomSource random, int depth)
    {
        int count = 1 + random.NextInt(2);
        for (int i = 0; i < count; i++)
        {
            if (depth < MostNesting)
            {
                Write(random, depth + 1);
            }
            else
            {
                line(depth + 1, $"{parts.Variable()} = {parts.Function()}({parts.Variable()})");
            }
        }
    }
}
