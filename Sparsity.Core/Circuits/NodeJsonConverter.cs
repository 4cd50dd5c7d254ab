using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sparsity.Core.Circuits;

/// <summary>Nodes as their names, also where they are the names of an object's fields.</summary>
internal sealed class NodeJsonConverter : JsonConverter<Node>
{
    public override Node Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) ? throw new JsonException("must be a text")
        : Node.TryParse(reader.GetString()!, out Node node) ? node
        : throw new JsonException($"'{reader.GetString()}' is no node. {Node.Grammar}");

    public override Node ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Read(ref reader, typeToConvert, options);

    public override void Write(Utf8JsonWriter writer, Node value, JsonSerializerOptions options) => writer.WriteStringValue(value.Name);

    public override void WriteAsPropertyName(Utf8JsonWriter writer, Node value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.Name);
}
