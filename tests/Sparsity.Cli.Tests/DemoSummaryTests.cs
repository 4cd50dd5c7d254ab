using Sparsity.Cli.Report;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Files;

namespace Sparsity.Cli.Tests;

public class DemoSummaryTests
{
    [Theory]
    [InlineData(2.5, "2.5")]
    [InlineData(null, "null")]
    public void JsonHasTheseFieldsInThisOrder(double? dense, string denseJson)
    {
        ReportCircuit circuit = SampleReport.Shown(DemoCircuit.Sparse, SampleReport.Circuit("quotes", 1));
        DemoSummary summary = SampleReport.Summary([circuit], dense);

        Assert.Equal(
            "{\"seconds\":183.4,\"tokens_per_second\":41234.5,\"train_tokens\":12288000,\"validation_loss\":2.25,"
                + "\"bigram_loss\":3.1,\"nonzero_fraction\":0.031,"
                + $"\"dense_validation_loss\":{denseJson},\"circuits\":[{{\"model\":\"sparse\",\"task\":\"quotes\","
                + "\"nodes\":16,\"edges\":12,\"total_nodes\":5000,\"total_edges\":12345,"
                + "\"loss_full_model\":0.021,\"loss\":0.11,\"loss_without_circuit\":1.87,\"loss_empty\":0.71,"
                + "\"target_loss\":0.15,\"accuracy\":0.97,\"survives\":false,\"smallest_edges\":12}]}\n",
            JsonText.WriteLine(summary)
        );
    }

    [Fact]
    public void JsonReadsBack()
    {
        DemoSummary summary = SampleReport.Summary([SampleReport.Shown(DemoCircuit.Dense, SampleReport.Circuit("quotes", 2))]);

        DemoSummary read = JsonText.Read<DemoSummary>(JsonText.ParseObject(JsonText.Write(summary), "summary"), "summary");

        Assert.Equal(summary.Circuits, read.Circuits);
        Assert.Equal(summary with { Circuits = read.Circuits }, read);
    }
}
