using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sparsity.Core.Storage;

namespace Sparsity.Core;

/// <summary>How this program reads and writes JSON: unknown fields are refused, numbers do not depend on the culture, and every failure is one clear line.</summary>
public static class JsonText
{
    /// <summary>The options behind every JSON file of this project: indented, names as the records state them, or snake_case.</summary>
    public static JsonSerializerOptions Options { get; } = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    /// <summary>The same on one line, for metrics and tables.</summary>
    public static JsonSerializerOptions OneLine { get; } = new(Options) { WriteIndented = false };

    /// <exception cref="BadInputException">The text is not a JSON object.</exception>
    public static JsonObject ParseObject(string json, string source)
    {
        try
        {
            JsonObject root = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { MaxDepth = 64, AllowDuplicateProperties = false }) as JsonObject
                ?? throw new BadInputException($"{source}: expected a JSON object.");
            ReadStrings(root);
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

    /// <exception cref="BadInputException">The file is missing, not readable, of a newer program, or does not hold a <typeparamref name="T"/>.</exception>
    public static T ReadFile<T>(string path)
    {
        JsonObject json = ParseObject(ReadAllText(path), path);
        FileFormat.RequireKnown(json, path);
        return Read<T>(json, path);
    }

    /// <exception cref="BadInputException">The file is missing or not readable.</exception>
    public static string ReadAllText(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path.", e);
        }
    }

    public static string Write<T>(T value) => JsonSerializer.Serialize(value, Options) + "\n";

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

    /// <summary>Text is decoded when it is first asked for, and an escape such as "\ud800" alone fails only then: better here than anywhere.</summary>
    private static void ReadStrings(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject properties:
                foreach ((_, JsonNode? value) in properties)
                {
                    ReadStrings(value);
                }

                break;
            case JsonArray items:
                foreach (JsonNode? item in items)
                {
                    ReadStrings(item);
                }

                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                _ = value.GetValue<string>();
                break;
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

        string where = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $"{e.Path.TrimStart('$', '.')}: ";
        int cut = message.IndexOf(" Path:", StringComparison.Ordinal);
        message = cut < 0 ? message : message[..cut];
        return where + (message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal) ? "has a value of the wrong type" : message.TrimEnd('.'));
    }
}
