using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>
/// Text with slots and two variants. <c>{n}</c> is a slot of kind n, filled anew at each place; <c>{n1}</c> has the same text wherever it
/// stands in the pattern; <c>«first¦second»</c> is the deciding feature: its left side in variant 0, its right side in variant 1. Both
/// variants of one draw have the same fillings, so that they differ in the deciding feature only. The corpus and the task prompts are made
/// of these.
/// </summary>
internal sealed class Pattern
{
    private readonly List<Part> _parts = [];
    private readonly List<(char Kind, bool Numbered)> _slots = [];

    internal Pattern(string text)
    {
        var numbered = new Dictionary<string, int>(StringComparer.Ordinal);
        Parse(text, numbered, _parts);
    }

    /// <summary>Fresh fillings of all slots. Numbered slots of one kind differ from one another where the kind has enough values.</summary>
    internal string[] Draw(SlotFiller filler)
    {
        var values = new string[_slots.Count];
        for (int i = 0; i < values.Length; i++)
        {
            string value = filler.Fill(_slots[i].Kind);
            for (int attempt = 0; _slots[i].Numbered && attempt < 20 && Taken(values, i, value); attempt++)
            {
                value = filler.Fill(_slots[i].Kind);
            }

            values[i] = value;
        }

        return values;
    }

    /// <summary>Appends the text of one variant, each line after the first indented by <paramref name="indent"/> more spaces.</summary>
    internal void Append(StringBuilder output, string[] values, int variant, int indent = 0) =>
        AppendParts(_parts, output, values, variant, indent);

    /// <summary>The text of one variant.</summary>
    internal string Render(string[] values, int variant)
    {
        var output = new StringBuilder();
        Append(output, values, variant);
        return output.ToString();
    }

    private bool Taken(string[] values, int count, string value)
    {
        for (int i = 0; i < count; i++)
        {
            if (_slots[i].Numbered && values[i] == value)
            {
                return true;
            }
        }

        return false;
    }

    private static void AppendParts(List<Part> parts, StringBuilder output, string[] values, int variant, int indent)
    {
        foreach (Part part in parts)
        {
            switch (part)
            {
                case { Literal: { } literal }:
                    output.Append(literal);
                    break;
                case { Choices: { } choices }:
                    AppendParts(choices[variant], output, values, variant, indent);
                    break;
                case { Slot: >= 0 }:
                    ReadOnlySpan<char> value = values[part.Slot];
                    int cut = value.IndexOf(SlotFiller.VariantMark);
                    output.Append(
                        cut < 0 ? value
                        : variant == 0 ? value[..cut]
                        : value[(cut + 1)..]
                    );
                    break;
                default:
                    output.Append('\n').Append(' ', indent);
                    break;
            }
        }
    }

    private void Parse(ReadOnlySpan<char> text, Dictionary<string, int> numbered, List<Part> parts)
    {
        while (!text.IsEmpty)
        {
            int next = text.IndexOfAny("{«\n");
            if (next != 0)
            {
                parts.Add(new Part(Literal: (next < 0 ? text : text[..next]).ToString()));
                text = next < 0 ? [] : text[next..];
                continue;
            }

            int end;
            switch (text[0])
            {
                case '\n':
                    parts.Add(new Part());
                    end = 0;
                    break;
                case '{' when text.Length > 1 && text[1] == '{': // a brace of the text itself
                    parts.Add(new Part(Literal: "{"));
                    end = 1;
                    break;
                case '{':
                    end = text.IndexOf('}');
                    parts.Add(new Part(Slot: SlotOf(text[1..end].ToString(), numbered)));
                    break;
                default:
                    end = text.IndexOf('»');
                    int bar = text.IndexOf('¦');
                    List<Part> first = [],
                        second = [];
                    Parse(text[1..bar], numbered, first);
                    Parse(text[(bar + 1)..end], numbered, second);
                    parts.Add(new Part(Choices: [first, second]));
                    break;
            }

            text = text[(end + 1)..];
        }
    }

    private int SlotOf(string slot, Dictionary<string, int> numbered)
    {
        if (numbered.TryGetValue(slot, out int known))
        {
            return known;
        }

        _slots.Add((slot[0], slot.Length > 1));
        if (slot.Length > 1)
        {
            numbered[slot] = _slots.Count - 1;
        }

        return _slots.Count - 1;
    }

    /// <summary>One of: literal text, a slot, a choice; none of them is a line break.</summary>
    private sealed record Part(string? Literal = null, int Slot = -1, List<Part>[]? Choices = null);
}
