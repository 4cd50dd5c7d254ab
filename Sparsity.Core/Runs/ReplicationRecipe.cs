using System.Globalization;
using Sparsity.Core.Files;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sparsity.Core.Runs;

/// <summary>
/// What the replication's training_config.yaml says beyond its config.json: it is the whole configuration of the training, with sections
/// model (sparse_model in a
/// bridge training), sparsity, bridges and others.
/// </summary>
internal sealed class ReplicationRecipe
{
    /// <summary>Beside config.json.</summary>
    public const string FileName = "training_config.yaml";

    private readonly string _path;
    private readonly YamlMappingNode _root;

    private ReplicationRecipe(string path, YamlMappingNode root)
    {
        _path = path;
        _root = root;
    }

    /// <summary>Where AbsTopK acts, under the replication's names; null if not said.</summary>
    public string? Locations => Text("sparsity", "activation_sparsity_locations");

    /// <summary>Whether attention reads its sinks; null if not said.</summary>
    public bool? UsesFlashAttention =>
        Model("use_flash_attention") switch
        {
            null => null,
            "true" => true,
            "false" => false,
            string other => throw new BadInputException($"{_path}: use_flash_attention is {other}, but must be true or false."),
        };

    /// <summary>abstopk or threshold; null if not said.</summary>
    public string? BridgeEncoder => Text("bridges", "bridge_act_fn");

    /// <summary>The recipe beside a config.json; null where there is none.</summary>
    /// <exception cref="BadInputException">It is no YAML.</exception>
    public static ReplicationRecipe? Beside(string configPath)
    {
        string path = Path.Combine(Path.GetDirectoryName(configPath)!, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            string text = JsonText.ReadAllText(path);
            RequireShallow(text, path);
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            return yaml.Documents is [{ RootNode: YamlMappingNode root }]
                ? new ReplicationRecipe(path, root)
                : throw new BadInputException($"{path}: expected one YAML document with sections such as model and sparsity.");
        }
        catch (YamlException e)
        {
            throw new BadInputException(
                FormattableString.Invariant($"{path}, line {e.Start.Line}: not valid YAML ({e.Message.ReplaceLineEndings(" ")})."),
                e
            );
        }
    }

    /// <summary>Checks that it belongs to the config.json beside it.</summary>
    /// <exception cref="BadInputException">It says something else.</exception>
    public void RequireSame(int layers, int channels, double fraction)
    {
        Require("n_layer", Model("n_layer"), layers);
        Require("d_model", Model("d_model"), channels);
        Require("activation_topk_fraction", Text("sparsity", "activation_topk_fraction"), fraction);

        void Require(string field, string? text, double expected)
        {
            if (
                text is not null
                && !(double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double given) && given == expected)
            )
            {
                string right = expected.ToString(CultureInfo.InvariantCulture);
                throw new BadInputException(
                    $"{_path}: {field} is {text}, but {right} in config.json beside it. The two files do not belong together: get "
                        + $"both again."
                );
            }
        }
    }

    /// <summary>The library reads nested nodes recursively: a file of a thousand brackets would end the program.</summary>
    private static void RequireShallow(string text, string path)
    {
        const int LargestDepth = 32;
        var parser = new Parser(new StringReader(text));
        for (int depth = 0; parser.MoveNext(); depth += parser.Current!.NestingIncrease)
        {
            if (depth > LargestDepth)
            {
                throw new BadInputException($"{path}: nests more than {LargestDepth} levels deep. Get the file again.");
            }
        }
    }

    private string? Model(string field) => Text("model", field) ?? Text("sparse_model", field);

    /// <summary>A scalar of a section; null where the section or the field is missing or null.</summary>
    private string? Text(string section, string field)
    {
        if (Child(_root, section) is not { } fields)
        {
            return null;
        }

        return fields is YamlMappingNode mapping
            ? Child(mapping, field) switch
            {
                null => null,
                YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "null" or "~" } => null,
                YamlScalarNode scalar => scalar.Value,
                _ => throw new BadInputException($"{_path}: {section}.{field} is no single value. Get the file again."),
            }
            : throw new BadInputException($"{_path}: {section} is no section of fields. Get the file again.");
    }

    private static YamlNode? Child(YamlMappingNode mapping, string name) =>
        mapping.Children.TryGetValue(new YamlScalarNode(name), out YamlNode? child) ? child : null;
}
