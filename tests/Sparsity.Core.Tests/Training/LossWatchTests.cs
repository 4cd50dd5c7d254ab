using Sparsity.Core.Training;

namespace Sparsity.Core.Tests.Training;

public class LossWatchTests
{
    [Fact]
    public void TheMeansAreThoseOfTheLosses()
    {
        var watch = new LossWatch();
        double[] losses = [4, 3, 5, 2];
        foreach (double loss in losses)
        {
            (watch, double? spike) = watch.After(loss);
            Assert.Null(spike);
        }

        Assert.Equal(3.5, watch.Mean, 1e-12); // a plain mean within the first steps
        Assert.Equal(losses.Average(loss => (loss - 3.5) * (loss - 3.5)), watch.Variance, 1e-12);
    }

    [Fact]
    public void ASpikeIsSixDeviationsAboveTheMeanAndNeverBelowIt()
    {
        var watch = new LossWatch();
        for (int i = 0; i < 400; i++)
        {
            (watch, double? spike) = watch.After(i % 2 == 0 ? 1.9 : 2.1); // mean 2, deviation 0.1
            Assert.Null(spike);
        }

        Assert.Null(watch.After(2.5).Spike);
        Assert.Null(watch.After(0).Spike);
        Assert.Equal(10, watch.After(3).Spike!.Value, 0.2);
    }

    [Fact]
    public void ASmoothLossNeedsARiseOfSixPercent()
    {
        var watch = new LossWatch(Steps: 100, Mean: 2);
        Assert.Null(watch.After(2.11).Spike);
        Assert.Equal(6.5, watch.After(2.13).Spike);
        Assert.Null(new LossWatch(Steps: 49, Mean: 2).After(9).Spike); // too early to tell
    }
}
