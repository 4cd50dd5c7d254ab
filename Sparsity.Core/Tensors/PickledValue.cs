using System.Globalization;

namespace Sparsity.Core.Tensors;

/// <summary>How much of a pickle's tree may still be visited.</summary>
/// <param name="file">Where the pickle comes from.</param>
/// <param name="most">
/// Elements. Each element of a pickle that repeats nothing takes a byte or more, so a small multiple of its length is enough for an honest
/// one.
/// </param>
internal sealed class PickleBudget(string file, long most)
{
    /// <summary>Deepest nesting: what circuits are released in has 6 levels.</summary>
    public const int MostLevels = 12;

    private long _spent;

    public string File { get; } = file;

    public void Spend(long count)
    {
        _spent += count;
        if (_spent > most)
        {
            throw new BadInputException(
                $"{File}: its lists repeat one another so often that together they have more than {most} elements. Use another copy."
            );
        }
    }
}

/// <summary>
/// A value of a pickle with the way that leads to it, for whoever knows the structure to expect. Every step down is counted, so that
/// neither a list that contains
/// itself nor one that names the same list many times over takes long.
/// </summary>
internal sealed class PickledValue
{
    private readonly TorchArchive _archive;
    private readonly PickleBudget _budget;
    private readonly object? _value;
    private readonly int _level;

    public PickledValue(TorchArchive archive, PickleBudget budget, object? value, string place = "", int level = 0)
    {
        if (level > PickleBudget.MostLevels)
        {
            throw new BadInputException(
                $"{budget.File}: {place} is nested more than {PickleBudget.MostLevels} levels deep. Use another copy."
            );
        }

        _archive = archive;
        _budget = budget;
        _value = value;
        _level = level;
        Place = place;
    }

    /// <summary>Such as importances.pair_data[3][0].</summary>
    public string Place { get; }

    public bool IsNull => _value is null;

    public bool IsText => _value is string;

    public bool IsNumber => _value is long or double or bool || (_value is PickledTensor tensor && tensor.Shape.All(size => size == 1));

    public bool IsFlag => _value is bool;

    public bool IsTensor => _value is PickledTensor;

    public bool IsDictionary => _value is PickledDictionary;

    /// <summary>Whether it is a list or a tuple.</summary>
    public bool IsSequence => _value is List<object?> or object?[];

    /// <summary>An entry of a dictionary by its key.</summary>
    /// <exception cref="BadInputException">It is no dictionary, or has no such entry.</exception>
    public PickledValue Field(string name) => TryField(name) ?? throw Wrong($"has no entry {name}");

    /// <summary>The same, or null.</summary>
    public PickledValue? TryField(string name)
    {
        foreach ((object key, object? value) in Dictionary.Items)
        {
            if (key is string text && text == name)
            {
                return Child(value, Place.Length == 0 ? name : $"{Place}.{name}");
            }
        }

        return null;
    }

    /// <summary>The entries of a dictionary.</summary>
    public IEnumerable<(PickledValue Key, PickledValue Value)> Entries()
    {
        _budget.Spend(2L * Dictionary.Items.Count);
        foreach ((object key, object? value) in Dictionary.Items)
        {
            PickledValue name = Child(key, $"a key of {Shown}");
            string shown =
                key is PickledTensor
                    ? name.Number().ToString(CultureInfo.InvariantCulture)
                    : Shorten(Convert.ToString(key, CultureInfo.InvariantCulture)!);
            yield return (name, Child(value, $"{Place}[{shown}]"));
        }
    }

    /// <summary>The entries of a list or tuple.</summary>
    public IReadOnlyList<PickledValue> Items()
    {
        IReadOnlyList<object?> items = _value switch
        {
            List<object?> list => list,
            object?[] tuple => tuple,
            _ => throw Wrong("is no list"),
        };
        _budget.Spend(items.Count);
        return [.. items.Select((item, i) => Child(item, $"{Place}[{i}]"))];
    }

    public string Text() => _value as string ?? throw Wrong("is no text");

    /// <summary>A number, or a tensor of one.</summary>
    public double Number() =>
        _value switch
        {
            long whole => whole,
            double number => number,
            bool flag => flag ? 1 : 0,
            PickledTensor when IsNumber => Tensor().Numbers()[0],
            _ => throw Wrong("is no number"),
        };

    /// <summary>A number that is neither infinite nor NaN.</summary>
    public double FiniteNumber() =>
        Number() is var number && double.IsFinite(number)
            ? number
            : throw Wrong(string.Create(CultureInfo.InvariantCulture, $"is {number}, but must be a finite number"));

    /// <summary>A whole number that fits an int.</summary>
    public int Integer() =>
        Number() is var number && number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue
            ? (int)number
            : throw Wrong("is no whole number");

    /// <summary>A tensor of numbers.</summary>
    public StoredTensor Tensor() => _value is PickledTensor tensor ? _archive.Locate(Shown, tensor) : throw Wrong("is no tensor");

    /// <summary>Numbers in one row, whether they stand in a tensor or in a list.</summary>
    public IReadOnlyList<double> Numbers()
    {
        if (!IsTensor)
        {
            return [.. Items().Select(item => item.Number())];
        }

        StoredTensor tensor = Tensor();
        _budget.Spend(tensor.Length);
        return tensor.Numbers();
    }

    /// <summary>The same for whole numbers.</summary>
    public IReadOnlyList<int> Integers() =>
        [
            .. Numbers()
                .Select(number =>
                    number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue
                        ? (int)number
                        : throw Wrong($"has {number}, which is no whole number")
                ),
        ];

    /// <summary>What is wrong here, in one line.</summary>
    public BadInputException Wrong(string what) => new($"{_budget.File}: {Shown} {what}. Use another copy.");

    private string Shown => Place.Length == 0 ? "its content" : Place;

    private PickledDictionary Dictionary => _value as PickledDictionary ?? throw Wrong("is no dictionary");

    private PickledValue Child(object? value, string place) => new(_archive, _budget, value, place, _level + 1);

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "...";
}
