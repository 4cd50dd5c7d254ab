using System.Globalization;
using System.Reflection;
using CommandLine;
using Sparsity.Core;

namespace Sparsity.Cli;

/// <summary>Marks a flag whose value is text for a model to read: the only values that may be empty.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class TextAttribute : Attribute;

/// <summary>Gives a verb the flags of another, each with one value or several, joined by commas; a switch takes true or false.</summary>
/// <param name="verb">The other verb. Flags that both have are the verb's own.</param>
/// <param name="except">Flags of the other verb that are left out.</param>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class ListsFlagsOfAttribute(Type verb, params string[] except) : Attribute
{
    public Type Verb { get; } = verb;

    public string[] Except { get; } = except;
}

/// <summary>
/// The arguments of one verb, checked before the command-line library reads them. Its own conversions turn <c>0,03</c> into 3, drop
/// values that belong to nothing, and pass over a value that is missing. The rules (docs/command-line.md): a flag takes the next argument
/// as its value, whatever that begins with; <c>--flag=value</c> is the same; a value is empty only where a model reads it as text; numbers
/// are read by <see cref="NumberText"/>; nothing is left over.
/// </summary>
internal sealed class Arguments
{
    private const char Comma = ',';

    private readonly string _verb;
    private readonly Dictionary<string, PropertyInfo> _flags;
    private readonly Dictionary<string, PropertyInfo> _listed;
    private readonly List<(string, IReadOnlyList<string>)> _lists = [];
    private readonly List<string> _positional = [];
    private readonly List<string> _flagged = [];
    private readonly HashSet<string> _given = new(StringComparer.Ordinal);

    /// <param name="arguments">The verb and what follows it.</param>
    /// <param name="type">The verb's.</param>
    /// <exception cref="BadInputException">An argument breaks a rule.</exception>
    public Arguments(IReadOnlyList<string> arguments, Type type)
    {
        _verb = arguments[0];
        _flags = FlagsOf(type);
        _listed = ListedFlags(type);
        PropertyInfo[] places = [.. type.GetProperties().Where(property => property.GetCustomAttribute<ValueAttribute>() is not null)];
        for (int i = 1; i < arguments.Count && Request is null; i++)
        {
            if (arguments[i] == "-h")
            {
                Request = "--help";
                break;
            }

            if (arguments[i] == "--")
            {
                _positional.AddRange(arguments.Skip(i + 1));
                break;
            }

            if (arguments[i].StartsWith("--", StringComparison.Ordinal))
            {
                i = Read(arguments, i);
            }
            else if (arguments[i].Length > 1 && arguments[i][0] == '-')
            {
                throw new BadInputException(
                    $"{_verb}: '{arguments[i]}' is no flag: all begin with --. For a file of that name write ./{arguments[i]}. {SeeHelp}"
                );
            }
            else
            {
                _positional.Add(BuiltinModels.Resolve(arguments[i]));
            }
        }

        if (Request is null)
        {
            RequirePlaces(places);
            RequireRequired(places);
        }
    }

    /// <summary>--help or --version, before which all others count for nothing; null where neither is asked for.</summary>
    public string? Request { get; private set; }

    /// <summary>What belongs to no flag, in order.</summary>
    public IReadOnlyList<string> Positional => _positional;

    /// <summary>Names of the flags that were given, without the dashes.</summary>
    public IReadOnlySet<string> Given => _given;

    /// <summary>Flags of another verb with their values, as they were given (<see cref="ListsFlagsOfAttribute"/>).</summary>
    public IReadOnlyList<(string Flag, IReadOnlyList<string> Values)> Lists => _lists;

    /// <summary>The flags of another verb that one takes with lists of values, by their names.</summary>
    public static Dictionary<string, PropertyInfo> ListedFlags(Type type)
    {
        var lists = type.GetCustomAttribute<ListsFlagsOfAttribute>();
        Dictionary<string, PropertyInfo> own = FlagsOf(type);
        return lists is null
            ? []
            : FlagsOf(lists.Verb)
                .Where(flag => !own.ContainsKey(flag.Key) && !lists.Except.Contains(flag.Key))
                .ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>The command-line library, set so that it reads <see cref="Canonical"/>.</summary>
    // Getopt's rule: a flag takes the next argument as its value, whatever that begins with.
    public static Parser CreateParser() =>
        new(settings =>
        {
            settings.HelpWriter = null;
            settings.GetoptMode = true;
            settings.AllowMultiInstance = false; // which GetoptMode turns on
            settings.CaseInsensitiveEnumValues = true;
            settings.ParsingCulture = CultureInfo.InvariantCulture;
        });

    /// <summary>The same arguments in a form that the command-line library cannot read otherwise.</summary>
    public string[] Canonical => [_verb, .. _flagged, "--", .. _positional];

    private string SeeHelp => $"See 'sparsity {_verb} --help'.";

    private int Read(IReadOnlyList<string> arguments, int i)
    {
        string argument = arguments[i];
        int equals = argument.IndexOf('=');
        string name = equals < 0 ? argument[2..] : argument[2..equals];
        if (name is "help" or "version")
        {
            Request = "--" + name;
            return i;
        }

        bool isListed = _listed.TryGetValue(name, out PropertyInfo? flag);
        if (!isListed && !_flags.TryGetValue(name, out flag))
        {
            throw new BadInputException(
                $"{_verb}: there is no flag --{name}.{Spelling.Suggestion(name, _flags.Keys.Concat(_listed.Keys), "--")} {SeeHelp}"
            );
        }

        if (!_given.Add(name))
        {
            string joined = (isListed ? Comma : Separator(flag!)) is { } separator ? $", its values joined by '{separator}'" : "";
            throw new BadInputException($"{_verb}: --{name} is given twice. Give it once{joined}.");
        }

        if (flag!.PropertyType == typeof(bool) && !isListed)
        {
            _flagged.Add(
                equals < 0 ? argument : throw new BadInputException($"{_verb}: --{name} takes no value. Give it alone, or leave it out.")
            );
            return i;
        }

        if (IsMany(flag) && Separator(flag) is null && !isListed)
        {
            return ReadMany(arguments, i, name, flag, equals);
        }

        if (equals < 0 && ++i == arguments.Count)
        {
            throw new BadInputException($"{_verb}: --{name} needs a value{Kind(flag)}. {SeeHelp}");
        }

        string value = equals < 0 ? arguments[i] : argument[(equals + 1)..];
        if (
            equals < 0
            && !IsText(flag)
            && value.StartsWith("--", StringComparison.Ordinal)
            && (_flags.ContainsKey(value[2..]) || _listed.ContainsKey(value[2..]))
        )
        {
            throw new BadInputException(
                $"{_verb}: --{name} is followed by {value}, so it has no value{Kind(flag)}. Give one; if its value is to be '{value}', "
                    + $"write --{name}={value}."
            );
        }

        if (isListed)
        {
            _lists.Add((name, CheckedAll(flag, name, value, Comma)));
            return i;
        }

        _flagged.Add(
            $"--{name}={(Separator(flag) is { } by ? string.Join(by, CheckedAll(flag, name, value, by)) : CheckedOne(flag, name, value))}"
        );
        return i;
    }

    /// <summary>A flag that takes all arguments up to the next flag.</summary>
    private int ReadMany(IReadOnlyList<string> arguments, int i, string name, PropertyInfo flag, int equals)
    {
        var values = new List<string>();
        if (equals >= 0)
        {
            values.Add(arguments[i][(equals + 1)..]);
        }

        while (i + 1 < arguments.Count && !arguments[i + 1].StartsWith("--", StringComparison.Ordinal))
        {
            values.Add(arguments[++i]);
        }

        if (values.Count == 0)
        {
            throw new BadInputException($"{_verb}: --{name} needs a value. {SeeHelp}");
        }

        _flagged.Add($"--{name}");
        _flagged.AddRange(values.Select(value => CheckedOne(flag, name, value)));
        return i;
    }

    /// <summary>Values joined by a separator.</summary>
    private string[] CheckedAll(PropertyInfo flag, string name, string value, char separator)
    {
        string[] parts = [.. value.Split(separator).Select(part => part.Trim())];
        if (parts.Length > 1 && parts.Any(part => part.Length == 0))
        {
            throw new BadInputException(
                $"{_verb}: --{name} is '{value}', which has an empty entry. Join the values by '{separator}' and leave none empty."
            );
        }

        if (ElementType(flag) == typeof(double) && parts.Length == 2 && parts.All(IsDigits))
        {
            throw new BadInputException(
                $"{_verb}: --{name} is '{value}', which may be one number or two. "
                    + $"Write {parts[0]}.{parts[1]} for one, {parts[0]}.0,{parts[1].TrimStart('0').PadLeft(1, '0')} for two."
            );
        }

        return [.. parts.Select(part => CheckedOne(flag, name, part))];
    }

    private string CheckedOne(PropertyInfo flag, string name, string value)
    {
        if (value.Length == 0)
        {
            return IsText(flag) ? value : throw new BadInputException($"{_verb}: --{name} is empty. Give it a value, or leave it out.");
        }

        if (value == "-" && Kind(flag) is ", a FILE" or ", a DIR")
        {
            throw new BadInputException($"{_verb}: --{name} is '-', but must be a file or folder. For one of that name write ./-");
        }

        string shown = $"{_verb}: --{name}";
        Type type = ElementType(flag);
        _ = Type.GetTypeCode(type.IsEnum ? typeof(Enum) : type) switch
        {
            TypeCode.Double => (object)NumberText.Parse<double>(value, shown),
            TypeCode.Int32 => NumberText.Parse<int>(value, shown),
            TypeCode.Int64 => NumberText.Parse<long>(value, shown),
            TypeCode.UInt64 => NumberText.Parse<ulong>(value, shown),
            TypeCode.Boolean => RequireOneOf(["true", "false"], value, shown),
            _ when type.IsEnum => RequireOneOf(Enum.GetNames(type), value, shown),
            _ => value,
        };
        return IsText(flag) ? value : BuiltinModels.Resolve(value);
    }

    /// <summary>", a FILE" of what a flag's value is; empty where the flag does not say.</summary>
    private static string Kind(PropertyInfo flag) =>
        flag.GetCustomAttribute<OptionAttribute>()!.MetaValue is { Length: > 0 } kind ? $", a {kind}" : "";

    private static string RequireOneOf(string[] names, string value, string shown)
    {
        string[] written = [.. names.Select(name => name.ToLowerInvariant())];
        return written.Contains(value, StringComparer.OrdinalIgnoreCase)
            ? value
            : throw new BadInputException($"{shown} is '{value}', but must be {string.Join(", ", written[..^1])} or {written[^1]}.");
    }

    private void RequirePlaces(PropertyInfo[] places)
    {
        if (_positional.FindIndex(value => value.Length == 0) is >= 0 and int empty)
        {
            throw new BadInputException($"{_verb}: argument {empty + 1} is empty. Give it a value, or leave it out.");
        }

        if (!places.Any(IsMany) && _positional.Count > places.Length)
        {
            throw new BadInputException(
                $"{_verb}: '{_positional[places.Length]}' belongs to no flag."
                    + $"{(_given.Count > 0 ? " Put a value with spaces in quotation marks." : "")} {SeeHelp}"
            );
        }
    }

    private void RequireRequired(PropertyInfo[] places)
    {
        if (places.Skip(_positional.Count).FirstOrDefault(place => place.GetCustomAttribute<ValueAttribute>()!.Required) is { } place)
        {
            string[] actions = Manual.Actions(_verb);
            throw new BadInputException(
                actions.Length > 0
                    ? $"{_verb} needs an action: {Spelling.OneOf(actions)}. {SeeHelp}"
                    : $"{_verb} needs a {place.GetCustomAttribute<ValueAttribute>()!.MetaName}: "
                        + $"{place.GetCustomAttribute<ValueAttribute>()!.HelpText} {SeeHelp}"
            );
        }

        string[] missing =
        [
            .. _flags
                .Where(flag => flag.Value.GetCustomAttribute<OptionAttribute>()!.Required && !_given.Contains(flag.Key))
                .Select(flag => "--" + flag.Key),
        ];
        if (missing.Length > 0)
        {
            throw new BadInputException($"{_verb} needs {string.Join(" and ", missing)}. {SeeHelp}");
        }
    }

    private static Dictionary<string, PropertyInfo> FlagsOf(Type type) =>
        type.GetProperties()
            .Where(property => property.GetCustomAttribute<OptionAttribute>() is not null)
            .ToDictionary(property => property.GetCustomAttribute<OptionAttribute>()!.LongName, StringComparer.Ordinal);

    private static bool IsMany(PropertyInfo property) =>
        property.PropertyType != typeof(string) && property.PropertyType.IsAssignableTo(typeof(System.Collections.IEnumerable));

    private static bool IsDigits(string text) => text.Length > 0 && !text.AsSpan().ContainsAnyExceptInRange('0', '9');

    private static bool IsText(PropertyInfo flag) => flag.GetCustomAttribute<TextAttribute>() is not null;

    private static char? Separator(PropertyInfo flag) =>
        flag.GetCustomAttribute<OptionAttribute>()!.Separator is var separator && separator != '\0' ? separator : null;

    private static Type ElementType(PropertyInfo flag)
    {
        Type type = IsMany(flag) ? flag.PropertyType.GetGenericArguments()[0] : flag.PropertyType;
        return Nullable.GetUnderlyingType(type) ?? type;
    }
}
