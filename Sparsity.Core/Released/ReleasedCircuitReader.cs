using System.Globalization;
using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Released;

/// <summary>
/// Reads a <see cref="ReleasedCircuit"/> and checks that it belongs to a model. Structure: the official page's viz.py, which is the only
/// documentation there is.
/// </summary>
internal sealed class ReleasedCircuitReader
{
    private const string Bias = "bias";

    private readonly ModelConfig _model;
    private readonly NodeLayout _layout;
    private readonly PickledValue _data;
    private readonly PickledValue _importances;

    private ReleasedCircuitReader(PickledValue root, ModelConfig model)
    {
        _model = model;
        _data = root.Field("circuit_data");
        _importances = root.Field("importances");
        RequireModel();
        _layout = new NodeLayout(model, _data.TryField(SiteKind.FinalResid.Suffix()) is not null);
    }

    /// <param name="path">viz_data.pt.</param>
    /// <param name="model">Of the model that it was found in.</param>
    /// <exception cref="BadInputException">The file is damaged, is no such file, or belongs to a model of another shape.</exception>
    public static ReleasedCircuit Read(string path, ModelConfig model) =>
        ReleasedFile.Read(path, "a released circuit", root => new ReleasedCircuitReader(root, model).Read(path, root));

    private ReleasedCircuit Read(string path, PickledValue root)
    {
        Dictionary<Site, int[]> channels = Channels();
        return new ReleasedCircuit
        {
            Path = path,
            Nodes = [.. channels.SelectMany(site => site.Value.Select(channel => new Node(site.Key, channel))).Order()],
            FinalResid = _layout.Sites.Any(site => site.Kind == SiteKind.FinalResid),
            Loss = _importances.Field("loss").FiniteNumber(),
            CircuitLoss = _importances.Field("interv_loss").FiniteNumber(),
            NodeLosses = NodeLosses(channels),
            EdgeEffects = EdgeEffects(channels),
            LayerLosses = Losses("layer_interv_losses"),
            LocationLosses = Losses("loc_interv_losses"),
            Prompts = Prompts(),
            TotalNodes = root.TryField("num_total_nodes") is { IsNull: false } total ? total.Integer() : null,
            Rounds = root.TryField("all_loss") is { IsNull: false } rounds ? [.. rounds.Items().Select(Round)] : [],
            Settings = root.TryField("prune_config") is { IsDictionary: true } settings ? Json(settings) as JsonObject : null,
        };
    }

    /// <summary>The configuration in the file decides whether it is this model's, as far as it says.</summary>
    private void RequireModel()
    {
        PickledValue config = _importances.Field("beeg_model_config");
        Require("n_layer", _model.NLayer);
        Require("d_model", _model.DModel);
        Require("n_head", _model.NHead);
        Require("d_head", _model.DHead);
        Require("d_mlp", _model.DMlp);
        Require("n_mlp", _model.DMlp); // the older name
        Require("vocab_size", _model.VocabSize);

        void Require(string name, int expected)
        {
            if (config.TryField(name) is { IsNull: false } value && value.Integer() is var given && given != expected)
            {
                throw value.Wrong(
                    $"is {given}, but the model's is {expected}: the circuit belongs to another model. Give the folder of the model "
                        + $"it was found in"
                );
            }
        }
    }

    /// <summary>The channels kept at each site, in the file's order, which other lists follow.</summary>
    private Dictionary<Site, int[]> Channels()
    {
        var channels = new Dictionary<Site, int[]>();
        foreach ((PickledValue key, PickledValue value) in _data.Entries())
        {
            if (!value.IsTensor && !value.IsSequence)
            {
                continue; // prune_config, in some files
            }

            Site site = SiteOf(key);
            int[] all = [.. value.Integers()];
            RequireChannels(value, site, all);
            channels.Add(site, all);
        }

        return channels;
    }

    private Site SiteOf(PickledValue name)
    {
        string text = name.Text();
        foreach (Site site in _layout.Sites)
        {
            if (site.Name == text)
            {
                return site;
            }
        }

        throw name.Wrong($"is {text}, which is no node location of this model");
    }

    private void RequireChannels(PickledValue place, Site site, int[] channels)
    {
        int width = _model.ChannelsAt(site.Kind);
        int outside = Array.FindIndex(channels, channel => channel < 0 || channel >= width);
        if (outside >= 0)
        {
            throw place.Wrong($"has channel {channels[outside]}, but {site} has 0 to {width - 1}");
        }

        if (channels.Distinct().Count() < channels.Length)
        {
            throw place.Wrong($"has channel {channels.GroupBy(channel => channel).First(group => group.Count() > 1).Key} twice");
        }
    }

    private Dictionary<Node, double> NodeLosses(Dictionary<Site, int[]> channels)
    {
        var losses = new Dictionary<Node, double>();
        if (_importances.TryField("ch_interv_losses") is not { IsNull: false } all)
        {
            return losses;
        }

        foreach ((PickledValue key, PickledValue value) in all.Entries())
        {
            Site site = SiteOf(key);
            int[] kept = channels.GetValueOrDefault(site) ?? [];
            IReadOnlyList<double> numbers = Finite(value);
            if (numbers.Count != kept.Length)
            {
                throw value.Wrong($"has {numbers.Count} losses, but circuit_data {kept.Length} channels");
            }

            for (int i = 0; i < kept.Length; i++)
            {
                losses[new Node(site, kept[i])] = numbers[i];
            }
        }

        return losses;
    }

    private Dictionary<(Node From, Node To), double> EdgeEffects(Dictionary<Site, int[]> channels)
    {
        var effects = new Dictionary<(Node From, Node To), double>();
        if (_importances.TryField("pair_data") is not { IsNull: false } pairs)
        {
            return effects;
        }

        IReadOnlyList<PickledValue> blocks = pairs.Items();
        if (blocks.Count > 0 && IsListOfBlocks(blocks[0]))
        {
            blocks = [.. blocks.SelectMany(rank => rank.Items())]; // older files: a list for each process
        }

        foreach (PickledValue block in blocks)
        {
            AddEffects(effects, block, channels);
        }

        return effects;

        static bool IsListOfBlocks(PickledValue first) => first.Items() is var items && (items.Count == 0 || items[0].IsSequence);
    }

    /// <summary>From [matrix [sources, targets], source channels, target channels, (source site, target site)].</summary>
    private void AddEffects(Dictionary<(Node From, Node To), double> effects, PickledValue block, Dictionary<Site, int[]> kept)
    {
        IReadOnlyList<PickledValue> parts = block.Items();
        if (parts.Count != 4 || parts[3].Items() is not [var sourceName, var targetName])
        {
            throw block.Wrong("is not a matrix, its source and target channels, and its two locations");
        }

        Site source = SiteOf(sourceName);
        Site target = SiteOf(targetName);
        (int[] sources, bool hasBias) = ChannelsOf(parts[1], source, kept);
        (int[] targets, _) = ChannelsOf(parts[2], target, kept);
        IReadOnlyList<int> shape = parts[0].Tensor().Shape;
        int rows = sources.Length + (hasBias ? 1 : 0);

        // A bias may have a row of its own, at the end. It is no edge.
        if (shape.Count != 2 || (shape[0] != sources.Length && shape[0] != rows) || shape[1] != targets.Length)
        {
            throw parts[0]
                .Wrong($"has shape [{string.Join(", ", shape)}], but there are {sources.Length} sources and {targets.Length} targets");
        }

        IReadOnlyList<double> numbers = Finite(parts[0]);
        for (int from = 0; from < sources.Length; from++)
        {
            for (int to = 0; to < targets.Length; to++)
            {
                (Node, Node) edge = (new Node(source, sources[from]), new Node(target, targets[to]));
                double effect = numbers[(from * targets.Length) + to];
                if (!effects.TryAdd(edge, effect) && effects[edge] != effect)
                {
                    throw block.Wrong(
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"says {effect} of the edge from {edge.Item1} to {edge.Item2}, of which another part of the file says "
                                + $"{effects[edge]}"
                        )
                    );
                }
            }
        }
    }

    private (int[] Channels, bool HasBias) ChannelsOf(PickledValue list, Site site, Dictionary<Site, int[]> kept)
    {
        int[] channels;
        bool hasBias = false;
        if (list.IsTensor)
        {
            channels = [.. list.Integers()];
        }
        else
        {
            IReadOnlyList<PickledValue> items = list.Items();
            hasBias = items.Count > 0 && items[^1].IsText && items[^1].Text() == Bias;
            channels = [.. items.Take(items.Count - (hasBias ? 1 : 0)).Select(item => item.Integer())];
        }

        RequireChannels(list, site, channels);
        return channels.Except(kept.GetValueOrDefault(site) ?? []).Any()
            ? throw list.Wrong(
                $"has channel {channels.Except(kept.GetValueOrDefault(site) ?? []).First()} of {site}, which circuit_data does not have"
            )
            : (channels, hasBias);
    }

    private Dictionary<string, double> Losses(string name)
    {
        var losses = new Dictionary<string, double>();
        if (_importances.TryField(name) is { IsNull: false } all)
        {
            foreach ((PickledValue key, PickledValue value) in all.Entries())
            {
                losses[key.Text()] = value.FiniteNumber();
            }
        }

        return losses;
    }

    /// <summary>The prompts without their padding: zeros at the end, as the official page cuts them.</summary>
    private List<int[]> Prompts()
    {
        PickledValue tokens = _importances.Field("task_samples").Items() is [var first, ..]
            ? first
            : throw _importances.Field("task_samples").Wrong("is empty");
        IReadOnlyList<int> shape = tokens.Tensor().Shape;
        if (shape.Count != 2 || shape[0] == 0 || shape[0] % 2 != 0)
        {
            throw tokens.Wrong(
                $"has shape [{string.Join(", ", shape)}], but must have an even number of rows of tokens: first all prompts of one "
                    + $"answer, then all of the other"
            );
        }

        int[] all = [.. tokens.Integers()];
        var prompts = new List<int[]>();
        for (int row = 0; row < shape[0]; row++)
        {
            int[] padded = all[(row * shape[1])..((row + 1) * shape[1])];
            int length = Array.FindLastIndex(padded, token => token != 0) + 1;
            int outside = Array.FindIndex(padded, token => token < 0 || token >= _model.VocabSize);
            if (outside >= 0)
            {
                throw tokens.Wrong($"has token {padded[outside]} in row {row}, but the model has 0 to {_model.VocabSize - 1}");
            }

            if (length == 0 || length > _model.BlockSize)
            {
                throw tokens.Wrong($"has {length} tokens in row {row}, but the model reads 1 to {_model.BlockSize}");
            }

            prompts.Add(padded[..length]);
        }

        return prompts;
    }

    private static (int Round, double Loss) Round(PickledValue value) =>
        value.Items() is [var round, var loss] ? (round.Integer(), loss.FiniteNumber()) : throw value.Wrong("is not a round and its loss");

    private static IReadOnlyList<double> Finite(PickledValue value)
    {
        IReadOnlyList<double> numbers = value.Numbers();
        foreach (double number in numbers)
        {
            if (!double.IsFinite(number))
            {
                throw value.Wrong(string.Create(CultureInfo.InvariantCulture, $"has {number}, but must have finite numbers"));
            }
        }

        return numbers;
    }

    /// <summary>
    /// Settings as they are; a number that JSON does not have, and whatever else is neither text, number, list nor dictionary, becomes
    /// null.
    /// </summary>
    private static JsonNode? Json(PickledValue value)
    {
        if (value.IsDictionary)
        {
            var json = new JsonObject();
            foreach ((PickledValue key, PickledValue child) in value.Entries())
            {
                json[key.IsText ? key.Text() : key.Number().ToString(CultureInfo.InvariantCulture)] = Json(child);
            }

            return json;
        }

        return value.IsSequence ? new JsonArray([.. value.Items().Select(Json)])
            : value.IsText ? value.Text()
            : value.IsNumber && value.Number() is var number && double.IsFinite(number)
                ? value.IsFlag ? number != 0
                    : number
            : null;
    }
}
