using Sparsity.Core.Model;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Model;

public class InitialWeightsTests
{
    /// <summary>
    /// Sines in the first half of the channels, cosines in the second, of periods log-spaced from 4 tokens to block_size; an odd last
    /// channel is zero.
    /// </summary>
    [Theory]
    [InlineData(32, 8, new double[] { 4, 8, 16, 32 })]
    [InlineData(32, 5, new double[] { 4, 32 })]
    [InlineData(100, 2, new double[] { 4 })]
    [InlineData(100, 1, new double[] { 4 })]
    [InlineData(3, 4, new double[] { 4, 4 })]
    public void SinusoidsHaveTheOfficialPeriods(int block, int width, double[] periods)
    {
        ModelConfig config = TinyModels.Config with { BlockSize = block, DPosEmb = width, SinusoidalCatPosEmb = true };
        using var engine = new CpuEngine(1);
        using var parameters = new ModelParameters(engine, config.Validated());
        parameters.Initialise(1);
        var expected = new double[block, width];
        for (int position = 0; position < block; position++)
        {
            for (int i = 0; i < periods.Length; i++)
            {
                double angle = 2 * Math.PI * position / periods[i];
                expected[position, i] = Math.Sin(angle);
                if (periods.Length + i < width)
                {
                    expected[position, periods.Length + i] = Math.Cos(angle);
                }
            }
        }

        // Angles of up to 157, in float32 as the official code has them.
        Comparison.Close(Flat.Of(expected), parameters.Read(ParameterNames.Position), 3e-5, $"{width} sinusoids of {block} positions");
    }

    [Fact]
    public void ABigramTableThatIsLearnedStartsUniformFromZeroToAFiftieth()
    {
        using var engine = new CpuEngine(1);
        using var parameters = new ModelParameters(engine, TinyModels.Config);
        parameters.Initialise(1);
        float[] table = parameters.Read(ParameterNames.Bigram);
        Assert.All(table, value => Assert.InRange(value, 0, 0.02f));
        Assert.Equal(0.01, table.Average(), 0.02 / Math.Sqrt(12.0 * table.Length) * 4);
        using var another = new ModelParameters(engine, TinyModels.Config with { LearnableBigramTable = false });
        another.Initialise(1);
        Assert.All(another.Read(ParameterNames.Bigram), value => Assert.Equal(0, value));
    }
}
