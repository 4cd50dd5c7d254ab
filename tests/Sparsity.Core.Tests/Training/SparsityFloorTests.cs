using System.Globalization;
using System.Text.RegularExpressions;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Training;

/// <summary>
/// A density that cannot keep the minimum of every neuron alive is refused, with the smallest density, and the largest minimum, that can.
/// </summary>
public partial class SparsityFloorTests
{
    /// <summary>The paper's shape on a smaller scale: 4 alive of D entries need 1/(D/4), whatever F is.</summary>
    [Theory]
    [InlineData(64, 256, 4, "1/16, ")]
    [InlineData(96, 200, 5, "")]
    [InlineData(40, 33, 3, "")]
    public void TheDensityAndTheMinimumThatAreNamedWork(int width, int neurons, int alive, string fraction)
    {
        ModelConfig model = new()
        {
            BlockSize = 8,
            VocabSize = 20,
            NLayer = 1,
            NHead = 2,
            DHeadField = width / 2,
            DModel = width,
            DMlpField = neurons,
        };
        string message = Assert.Throws<BadInputException>(() => Try(0.01, alive)).Message;
        Assert.Contains("Raise density to at least", message, StringComparison.Ordinal);
        Match named = Named().Match(message);
        Assert.Equal(fraction, named.Groups[2].Value);
        double density = double.Parse(named.Groups[1].Value, CultureInfo.InvariantCulture);
        int minimum = int.Parse(named.Groups[3].Value, CultureInfo.InvariantCulture);
        Try(density, alive);
        Assert.Throws<BadInputException>(() => Try(density - 2e-9, alive));
        Try(0.01, minimum);
        Assert.Throws<BadInputException>(() => Try(0.01, minimum + 1));

        void Try(double given, int minimumAlive)
        {
            TrainingConfig training = new TrainingConfig
            {
                ContextTokens = 8,
                Density = given,
                MinimumAlivePerNeuron = minimumAlive,
            }.Resolved(model);
            using var engine = new CpuEngine(1);
            using var parameters = new ModelParameters(engine, model, _ => true);
            using var sparsity = new WeightSparsity(parameters, training, 100);
            sparsity.RequirePossible(100);
        }
    }

    [GeneratedRegex(@"at least ([0-9.]+) \(((?:1/\d+, )?)pfrac [0-9.]+\), or lower minimum_alive_per_neuron to at most (\d+)\.")]
    private static partial Regex Named();
}
