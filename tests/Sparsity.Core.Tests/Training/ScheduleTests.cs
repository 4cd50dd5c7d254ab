using System.Text.Json;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Training;

/// <summary>Learning rate and budgets against the official script's (tests/fixtures/official/units/schedules.json).</summary>
public class ScheduleTests
{
    public static TheoryData<string> Cases() => [.. Fixture().RootElement.EnumerateArray().Select(entry => entry.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void EveryStepAgreesWithTheOfficialScript(string name)
    {
        JsonElement entry = Fixture().RootElement.EnumerateArray().Single(candidate => candidate.GetProperty("name").GetString() == name);
        JsonElement h = entry.GetProperty("hparams");
        int lastStep = entry.GetProperty("total_steps").GetInt32();
        JsonElement initial = h.GetProperty("pfrac_anneal_initial");
        JsonElement warmup = h.GetProperty("lr_warmup_frac");
        TrainingConfig config = new TrainingConfig
        {
            Lr = h.GetProperty("lr").GetDouble(),
            LrDecay = h.GetProperty("lr_decay").GetBoolean(),
            LrWarmupFrac = warmup.ValueKind == JsonValueKind.Null ? null : warmup.GetDouble(),
            Pfrac = h.GetProperty("pfrac").GetDouble(),
            PfracAnneal = h.GetProperty("pfrac_anneal").GetBoolean(),
            PfracAnnealMode = h.GetProperty("pfrac_anneal_mode").GetString() == "power_law" ? AnnealMode.PowerLaw : AnnealMode.Linear,
            PfracAnnealExponent = h.GetProperty("pfrac_anneal_exponent").GetDouble(),
            PfracAnnealStartFrac = h.GetProperty("pfrac_anneal_start_frac").GetDouble(),
            PfracAnnealStopFrac = h.GetProperty("pfrac_anneal_stop_frac").GetDouble(),
            PfracAnnealInitial = initial.ValueKind == JsonValueKind.Number ? initial.GetDouble() : null,
            PfracAnnealScheduleLrWithL0 = h.GetProperty("pfrac_anneal_schedule_lr_with_L0").GetBoolean(),
            ExpansionFactor = h.GetProperty("expansion_factor").GetDouble(),
            ExpansionFactorMlp = h.GetProperty("expansion_factor_mlp").GetDouble(),
        }.Resolved(new ModelConfig());
        var schedule = new Schedule(config, lastStep);

        foreach (JsonElement row in entry.GetProperty("rows").EnumerateArray())
        {
            double[] expected = [.. row.EnumerateArray().Select(number => number.GetDouble())];
            int step = (int)expected[0];
            Assert.Equal(expected[1], schedule.LearningRate(step), 1e-12);
            Assert.Equal(expected[2], schedule.Pfrac(step), 1e-11);
            Assert.Equal(expected[3], schedule.MatrixFraction(step), 1e-12);
            Assert.Equal(expected[4], schedule.EmbeddingFraction(step), 1e-12);
        }
    }

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
        var failure = Assert.Throws<BadInputException>(() => JsonText.Read<TrainingConfig>(JsonText.ParseObject(json, "x.json"), "x.json").Resolved(new ModelConfig(), "x.json"));
        Assert.True(failure.Message.Contains(named, StringComparison.Ordinal), $"{what}: {failure.Message}");
        Assert.StartsWith("x.json", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    private static JsonDocument Fixture() => JsonDocument.Parse(File.ReadAllText(Path.Combine(OfficialFixture.Root, "units", "schedules.json")));
}
