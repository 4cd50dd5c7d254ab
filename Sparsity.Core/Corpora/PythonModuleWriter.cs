using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>Writes one synthetic module: imports, then functions, classes and statements in random order.</summary>
internal sealed class PythonModuleWriter
{
    private readonly RandomSource _random;
    private readonly PythonParts _parts;
    private readonly PythonStatements _statements;
    private readonly StringBuilder _text = new();

    public PythonModuleWriter(RandomSource random)
    {
        _random = random;
        _parts = new PythonParts(random);
        _statements = new PythonStatements(_parts, Line);
    }

    public string Write()
    {
        if (_random.NextBool(0.4))
        {
            Line(0, $"\"\"\"{Sentence()}\"\"\"");
        }

        foreach (string module in Enumerable.Range(0, _random.NextInt(3)).Select(_ => _random.Pick(PythonNames.Modules)).Distinct())
        {
            Line(0, "import " + module);
        }

        int blocks = 3 + _random.NextInt(6);
        for (int i = 0; i < blocks; i++)
        {
            Blank();
            switch (_random.NextInt(8))
            {
                case 0:
                    Class();
                    break;
                case < 5:
                    Function(0, method: false);
                    break;
                default:
                    Statements(0, 1 + _random.NextInt(4));
                    break;
            }
        }

        return _text.ToString();
    }

    private void Class()
    {
        Line(0, $"class {_parts.ClassName()}{(_random.NextBool(0.3) ? "(object)" : "")}:");
        string[] fields = [.. Enumerable.Range(0, 2 + _random.NextInt(5)).Select(_ => _parts.Variable()).Distinct()];
        Line(1, $"def __init__(self, {string.Join(", ", fields)}):");
        foreach (string field in fields)
        {
            Line(2, $"self.{field} = {field}");
        }

        for (int i = _random.NextInt(3); i > 0; i--)
        {
            Blank();
            Function(1, method: true);
        }
    }

    private void Function(int depth, bool method)
    {
        string[] names = [.. Enumerable.Range(0, _random.NextInt(4)).Select(_ => _parts.Variable()).Distinct()];
        bool defaults = _random.NextBool();
        string parameters = string.Join(", ", (method ? new[] { "self" } : []).Concat(names.Select(name => defaults ? name + "=None" : name)));
        Line(depth, $"def {_parts.Function()}({parameters}):");
        if (_random.NextBool(0.25))
        {
            Line(depth + 1, $"\"\"\"{Sentence()}\"\"\"");
        }

        Statements(depth + 1, 1 + _random.NextInt(4));
        Line(depth + 1, _random.NextInt(4) switch
        {
            0 => "return True",
            1 => "return " + _parts.Variable(),
            2 => $"return {_parts.Function()}({_parts.Variable()})",
            _ => $"return {_parts.Variable()} + {_parts.Number()}",
        });
    }

    private void Statements(int depth, int count)
    {
        for (int i = 0; i < count; i++)
        {
            _statements.Write(_random, depth);
        }
    }

    private string Sentence()
    {
        string words = _parts.Words(4);
        return char.ToUpperInvariant(words[0]) + words[1..] + ".";
    }

    private void Blank()
    {
        if (_text.Length > 0)
        {
            _text.Append('\n');
        }
    }

    private void Line(int depth, string text) => _text.Append(' ', 4 * depth).Append(text).Append('\n');
}
