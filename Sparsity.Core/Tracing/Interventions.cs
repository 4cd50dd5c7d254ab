using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tracing;

/// <summary>
/// Changes of single channels at all tokens of a pass, after AbsTopK: x * factor + value * (1 - factor), so that a factor of 0 sets a
/// value, and a value of 0 scales. What the model computes afterwards, and the gradients that come back, are those of the changed model.
/// </summary>
public sealed class Interventions : ISiteHook, IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly ModelConfig _config;
    private readonly SortedDictionary<Site, Change> _changes = [];

    public Interventions(IComputeEngine engine, ModelConfig config)
    {
        _engine = engine;
        _config = config;
    }

    /// <summary>Reads SITE:CHANNEL=NUMBER, such as 3.mlp.post_act:12=0.5; the channel may be * for all of the site.</summary>
    /// <exception cref="BadInputException">It is written otherwise, or the model has no such site or channel.</exception>
    public static (Site Site, IReadOnlyList<int> Channels, float Number) ParseAssignment(string text, ModelConfig config)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0 || !NumberText.TryParse(text.AsSpan(equals + 1), out float number))
        {
            throw new BadInputException(
                $"'{text}' is no intervention. Write SITE:CHANNEL=NUMBER, such as 0.mlp.post_act:12=0.5; CHANNEL may be * for all."
            );
        }

        (Site site, IReadOnlyList<int> channels) = ParseChannels(text[..equals], config);
        return (site, channels, number);
    }

    /// <summary>Reads SITE:CHANNEL; the channel may be * for all of the site.</summary>
    /// <exception cref="BadInputException">It is written otherwise, or the model has no such site or channel.</exception>
    public static (Site Site, IReadOnlyList<int> Channels) ParseChannels(string text, ModelConfig config)
    {
        int colon = text.LastIndexOf(':');
        if (colon < 0)
        {
            throw new BadInputException(
                $"'{text}' names no channel. Write SITE:CHANNEL, such as 0.mlp.post_act:12; CHANNEL may be * for all."
            );
        }

        Site site = Site.Parse(text[..colon], config);
        int channels = config.ChannelsAt(site.Kind);
        string given = text[(colon + 1)..];
        if (given == "*")
        {
            return (site, [.. Enumerable.Range(0, channels)]);
        }

        return NumberText.TryParse(given, out int channel) && channel >= 0 && channel < channels
            ? (site, [channel])
            : throw new BadInputException($"'{text}': {site} has channels 0 to {channels - 1}, not '{given}'.");
    }

    /// <summary>Channels hold a value whatever the model computes.</summary>
    public void Set(Site site, IReadOnlyList<int> channels, float value) => Add(site, channels, 0, _ => value);

    /// <summary>Channels hold a value each, such as their means.</summary>
    public void Set(Site site, IReadOnlyList<int> channels, Func<int, float> valueOf) => Add(site, channels, 0, valueOf);

    /// <summary>Channels are multiplied by a factor.</summary>
    public void Scale(Site site, IReadOnlyList<int> channels, float factor) => Add(site, channels, factor, _ => 0);

    /// <summary>All channels of a site are multiplied by a factor.</summary>
    public void Scale(Site site, float factor) => Scale(site, [.. Enumerable.Range(0, _config.ChannelsAt(site.Kind))], factor);

    public bool Changes(Site site) => _changes.ContainsKey(site);

    public void Forward(Site site, ActivationTensor activation)
    {
        if (_changes.TryGetValue(site, out Change? change))
        {
            _engine.GateForward(activation, change.Factor, change.Value, activation);
        }
    }

    public void Backward(Site site, ActivationTensor gradient)
    {
        if (_changes.TryGetValue(site, out Change? change))
        {
            _engine.GateForward(gradient, change.Factor, change.Zero, gradient);
        }
    }

    public void Dispose()
    {
        foreach (Change change in _changes.Values)
        {
            change.Factor.Dispose();
            change.Value.Dispose();
            change.Zero.Dispose();
        }
    }

    /// <exception cref="BadInputException">The model has no such site or channel, or a number is not finite.</exception>
    private void Add(Site site, IReadOnlyList<int> channels, float factor, Func<int, float> valueOf)
    {
        if (!Site.AllOf(_config).Contains(site))
        {
            throw new BadInputException($"the model has no site {site}: its layers are 0 to {_config.NLayer - 1}.");
        }

        int width = _config.ChannelsAt(site.Kind);
        foreach (int channel in channels)
        {
            if (channel < 0 || channel >= width)
            {
                throw new BadInputException($"{site} has channels 0 to {width - 1}, not {channel}.");
            }

            if (!float.IsFinite(factor) || !float.IsFinite(valueOf(channel)))
            {
                throw new BadInputException($"{site}: channel {channel} is to be changed by a number that is not finite.");
            }
        }

        if (!_changes.TryGetValue(site, out Change? change))
        {
            int count = _config.ChannelsAt(site.Kind);
            _changes[site] = change = new Change(
                Allocate("factor"),
                Allocate("value"),
                Allocate("zero"),
                new float[count],
                new float[count],
                new bool[count]
            );
            change.Factors.AsSpan().Fill(1);

            WeightTensor Allocate(string what) => _engine.AllocateWeights($"{what} of {site}", 1, count);
        }

        foreach (int channel in channels)
        {
            if (change.IsChanged[channel])
            {
                throw new BadInputException($"{site}:{channel} is changed twice. Give one intervention for each channel.");
            }

            change.IsChanged[channel] = true;
            change.Factors[channel] = factor;
            change.Values[channel] = valueOf(channel);
        }

        _engine.Write(change.Factor, change.Factors);
        _engine.Write(change.Value, change.Values);
    }

    private sealed record Change(
        WeightTensor Factor,
        WeightTensor Value,
        WeightTensor Zero,
        float[] Factors,
        float[] Values,
        bool[] IsChanged
    );
}
