using System.Numerics;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Sparsity.Core.Files;

/// <summary>
/// How this program reads and writes JSON: unknown fields are refused, numbers are finite and do not depend on the culture, and every
/// failure is one clear line.
/// </summary>
internal static class JsonText
{
    /// <summary>The options behind every JSON file of this project: indented, names as the records state them, or snake_case.</summary>
    public static JsonSerializerOptions Options { get; } =
        new()
        {
            WriteIndented = true,
            NewLine = "\n",
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            Converters =
            {
                new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false),
                new FiniteDoubles(),
                new FiniteFloats(),
                new WholeNumbers(),
                new Booleans(),
            },
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        };

    /// <summary>The same on one line, for metrics and tables.</summary>
    public static JsonSerializerOptions OneLine { get; } = new(Options) { WriteIndented = false };

    /// <exception cref="BadInputException">The text is not a JSON object.</exception>
    public static JsonObject ParseObject(string json, string source) => RequireObject(Parse(json, source), source);

    /// <exception cref="BadInputException">The value is not a JSON object.</exception>
    public static JsonObject RequireObject(JsonNode? value, string source) =>
        value as JsonObject ?? throw new BadInputException($"{source}: expected a JSON object.");

    /// <returns>Any JSON value; null for null.</returns>
    /// <exception cref="BadInputException">The text is not JSON, nests too deep, has a name twice, half a surrogate pair, or a number that
    /// is not finite.</exception>
    public static JsonNode? Parse(string json, string source)
    {
        try
        {
            JsonNode? root = JsonNode.Parse(
                json,
                documentOptions: new JsonDocumentOptions { MaxDepth = 64, AllowDuplicateProperties = false }
            );
            RequireReadable(root, source);
            return root;
        }
        catch (JsonException e)
        {
            throw new BadInputException($"{source}: not valid JSON ({FirstSentence(e)}).", e);
        }
        catch (InvalidOperationException e)
        {
            throw new BadInputException($"{source}: not valid JSON (a text has half a surrogate pair).", e);
        }
    }

    /// <exception cref="BadInputException">A field is unknown, missing or of another type, or a list has null in it.</exception>
    public static T Read<T>(JsonNode node, string source)
    {
        RequireNoNullElement(node, source);
        try
        {
            return node.Deserialize<T>(Options) ?? throw new BadInputException($"{source}: expected an object, found null.");
        }
        catch (JsonException e)
        {
            throw new BadInputException($"{source}: {FirstSentence(e)}.", e);
        }
    }

    /// <summary>Settings with the fields that an object gives; all others keep their values.</summary>
    /// <param name="settings">What the fields are laid over.</param>
    /// <param name="fields">By their names in JSON; null is a value like any other.</param>
    /// <param name="source">Where the fields come from, for messages.</param>
    /// <exception cref="BadInputException">A field is unknown or of another type.</exception>
    public static T Over<T>(T settings, JsonObject fields, string source)
    {
        JsonObject all = JsonSerializer.SerializeToNode(settings, Options)!.AsObject();
        foreach ((string name, JsonNode? value) in fields)
        {
            all[name] = value?.DeepClone();
        }

        return Read<T>(all, source);
    }

    /// <exception cref="BadInputException">The file is missing, not readable, of a newer program, or does not hold a
    /// <typeparamref name="T"/>.</exception>
    public static T ReadFile<T>(string path) => Read<T>(ParseFile(path), path);

    /// <exception cref="BadInputException">The file is missing, not readable, of a newer program, or no JSON object.</exception>
    internal static JsonObject ParseFile(string path)
    {
        JsonObject json = ParseObject(ReadAllText(path), path);
        FileFormat.RequireKnown(json, path);
        return json;
    }

    /// <exception cref="BadInputException">The file is missing, not readable, or a Git LFS pointer.</exception>
    public static string ReadAllText(string path)
    {
        try
        {
            string text = File.ReadAllText(path);
            GitLfsPointer.Refuse(path, text);
            return text;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException(
                Directory.Exists(path)
                    ? $"{path}: is a folder. Name a file in it."
                    : $"{path}: cannot be read ({e.Message}). Check the path.",
                e
            );
        }
    }

    /// <exception cref="NumericalException">A number is not finite.</exception>
    public static string Write<T>(T value) => JsonSerializer.Serialize(value, Options) + "\n";

    /// <exception cref="NumericalException">A number is not finite.</exception>
    public static string WriteLine<T>(T value) => JsonSerializer.Serialize(value, OneLine) + "\n";

    /// <summary>The serializer checks fields for null, but not the elements of lists; none of this program's may be null.</summary>
    private static void RequireNoNullElement(JsonNode node, string source)
    {
        IEnumerable<JsonNode?> children = node switch
        {
            JsonObject properties => properties.Select(property => property.Value),
            JsonArray items => items,
            _ => [],
        };
        int i = 0;
        foreach (JsonNode? child in children)
        {
            if (child is not null)
            {
                RequireNoNullElement(child, source);
            }
            else if (node is JsonArray)
            {
                throw new BadInputException($"{source}: {node.GetPath().TrimStart('$', '.')}[{i}] is null; expected a value.");
            }

            i++;
        }
    }

    /// <summary>
    /// Text is decoded when it is first asked for, and an escape such as "\ud800" alone fails only then: better here than anywhere. And
    /// 1e999 would be read as infinity.
    /// </summary>
    private static void RequireReadable(JsonNode? node, string source)
    {
        switch (node)
        {
            case JsonObject properties:
                foreach ((_, JsonNode? value) in properties)
                {
                    RequireReadable(value, source);
                }

                break;
            case JsonArray items:
                foreach (JsonNode? item in items)
                {
                    RequireReadable(item, source);
                }

                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                _ = value.GetValue<string>();
                break;
            case JsonValue value
                when value.GetValueKind() == JsonValueKind.Number && !double.IsFinite(value.GetValue<JsonElement>().GetDouble()):
                throw new BadInputException(
                    $"{source}: {value.GetPath().TrimStart('$', '.')} is {value.ToJsonString()}, but must be a finite number."
                );
        }
    }

    /// <summary>The exception's message without its trailing position and without naming types of this program.</summary>
    private static string FirstSentence(JsonException e)
    {
        string message = e.Message.ReplaceLineEndings(" ");
        const string Unmapped = "The JSON property '";
        if (message.StartsWith(Unmapped, StringComparison.Ordinal))
        {
            return $"unknown field '{message[Unmapped.Length..message.IndexOf('\'', Unmapped.Length)]}'; check the spelling or remove it";
        }

        string[] names = [.. message.Split('\'').Where((_, i) => i % 2 == 1)];
        if (message.Contains("missing required properties", StringComparison.Ordinal))
        {
            return $"{Place(e, " ")}lacks {string.Join(", ", names[1..])}; add {(names.Length == 2 ? "it" : "them")}";
        }

        if (
            message.Contains("doesn't allow setting null values", StringComparison.Ordinal)
            || message.Contains("null for", StringComparison.Ordinal)
        )
        {
            return $"{Place(e, " ")}is null; expected a value";
        }

        int cut = message.IndexOf(" Path:", StringComparison.Ordinal);
        message = cut < 0 ? message : message[..cut];
        bool namesTypes =
            message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal)
            || message.Contains("System.", StringComparison.Ordinal)
            || message.Contains(nameof(Sparsity) + ".", StringComparison.Ordinal);
        return Place(e, ": ") + (namesTypes ? "has a value of the wrong type" : message.TrimEnd('.'));

        static string Place(JsonException e, string separator) =>
            string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : e.Path.TrimStart('$', '.') + separator;
    }

    /// <summary>The guard of every number that is written or read into a field.</summary>
    private sealed class FiniteDoubles : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            Finite(reader.TokenType == JsonTokenType.Number ? reader.GetDouble() : throw new JsonException("must be a number"));

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(ToWrite(value));
    }

    /// <inheritdoc cref="FiniteDoubles"/>
    private sealed class FiniteFloats : JsonConverter<float>
    {
        public override float Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            Finite(reader.TokenType == JsonTokenType.Number ? reader.GetSingle() : throw new JsonException("must be a number"));

        public override void Write(Utf8JsonWriter writer, float value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(ToWrite(value));
    }

    /// <summary>Some programs write every number with a point: 32.0 is 32.</summary>
    private sealed class WholeNumbers : JsonConverter<int>
    {
        public override int Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType != JsonTokenType.Number ? throw new JsonException("must be a whole number")
            : reader.TryGetInt32(out int whole) ? whole
            : reader.GetDouble() is var value && value == Math.Floor(value) && value is >= int.MinValue and <= int.MaxValue ? (int)value
            : throw new JsonException("must be a whole number, from -2147483648 to 2147483647");

        public override void Write(Utf8JsonWriter writer, int value, JsonSerializerOptions options) => writer.WriteNumberValue(value);
    }

    private sealed class Booleans : JsonConverter<bool>
    {
        public override bool Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType is JsonTokenType.True or JsonTokenType.False
                ? reader.GetBoolean()
                : throw new JsonException("must be true or false");

        public override void Write(Utf8JsonWriter writer, bool value, JsonSerializerOptions options) => writer.WriteBooleanValue(value);
    }

    private static T Finite<T>(T value)
        where T : INumberBase<T> => T.IsFinite(value) ? value : throw new JsonException("is beyond the numbers that fit there");

    private static T ToWrite<T>(T value)
        where T : INumberBase<T> =>
        T.IsFinite(value)
            ? value
            : throw new NumericalException(
                $"A result is {value}, no finite number, and cannot be written: weights, settings or inputs are out of range."
            );
}
