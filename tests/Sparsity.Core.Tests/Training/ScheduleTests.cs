using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Tests.Training;

/// <summary>Learning rate and budgets beside what the official script's fixtures show.</summary>
public class ScheduleTests
{
    [Fact]
    public void ATargetEqualToDenseIsDense()
    {
        TrainingConfig config = new TrainingConfig { Density = 1 }.Resolved(new ModelConfig { DModel = 128, DMlpField = 512 });
        Assert.Equal(1, new Schedule(config, 100).EmbeddingFraction(70));
        Assert.Equal(1, new Schedule(config, 100).MatrixFraction(70));
    }

    [Fact]
    public void DensityIsPfracOfTheModelsOwnExpansion()
    {
        TrainingConfig config = new TrainingConfig { Density = 1.0 / 16 }.Resolved(new ModelConfig { DModel = 512, DMlpField = 1024 });
        Assert.Equal(2 * 1 / 16.0, config.Pfrac!.Value, 1e-15);
        Assert.Equal(1.0 / 16, new Schedule(config, 1000).MatrixFraction(900), 1e-15);
    }

    [Theory]
    [InlineData("pfrac", "{\"pfrac\": 1, \"density\": 0.5}", "density")]
    [InlineData("context", "{\"context_tokens\": 5000}", "context_tokens")]
    [InlineData("stop before start", "{\"pfrac_anneal_start_frac\": 0.5, \"pfrac_anneal_stop_frac\": 0.4}", "pfrac_anneal_stop_frac")]
    [InlineData("unknown field", "{\"learning_rate\": 1}", "learning_rate")]
    [InlineData("wrong type", "{\"lr\": \"fast\"}", "lr")]
    public void BadSettingsAreRefusedByName(string what, string json, string named)
    {
        var failure = Assert.Throws<BadInputException>(() =>
            JsonText.Read<TrainingConfig>(JsonText.ParseObject(json, "x.json"), "x.json").Resolved(new ModelConfig(), "x.json")
        );
        Assert.True(failure.Message.Contains(named, StringComparison.Ordinal), $"{what}: {failure.Message}");
        Assert.StartsWith("x.json", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }
}
