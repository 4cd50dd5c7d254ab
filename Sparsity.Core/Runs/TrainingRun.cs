using System.Diagnostics;
using System.Text.Json.Nodes;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// A run from its first step to its last, or from a checkpoint on: data, metrics, validation, checkpoints. <see cref="Runs.Run"/> makes
/// them.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    private readonly RunFolder _folder;
    private readonly BatchSource _training;
    private readonly BatchSource _validation;
    private readonly Trainer _trainer;
    private readonly FolderLock? _lock;
    private LossWatch _watch = new();
    private int _nextStep;

    /// <summary>A run that trains a model by itself.</summary>
    /// <param name="engine">Where it trains.</param>
    /// <param name="model">Validated.</param>
    /// <param name="training">Resolved.</param>
    /// <param name="folder">Where metrics and checkpoints go.</param>
    /// <param name="trainingTokens">The training stream.</param>
    /// <param name="validationTokens">The validation stream.</param>
    /// <param name="resume">Whether to go on from the folder's checkpoint; from the start, if it has none yet.</param>
    /// <param name="initial">Weights to begin with; null for random ones.</param>
    internal TrainingRun(
        IComputeEngine engine,
        ModelConfig model,
        TrainingConfig training,
        RunFolder folder,
        ReadOnlyMemory<ushort> trainingTokens,
        ReadOnlyMemory<ushort> validationTokens,
        bool resume = false,
        StoredModel? initial = null
    )
        : this(new Trainer(engine, model, training), folder, trainingTokens, validationTokens, resume, initial) { }

    /// <summary>
    /// A run of any trainer, which it disposes. Where several processes train together, only rank 0 needs the folder and the initial
    /// weights.
    /// </summary>
    /// <param name="trainer">Of a resolved configuration.</param>
    /// <param name="folder">Where metrics and checkpoints go.</param>
    /// <param name="trainingTokens">The training stream.</param>
    /// <param name="validationTokens">The validation stream.</param>
    /// <param name="resume">Whether to go on from the folder's checkpoint; from the start, if it has none yet.</param>
    /// <param name="initial">Weights to begin with; null for random ones.</param>
    internal TrainingRun(
        Trainer trainer,
        RunFolder folder,
        ReadOnlyMemory<ushort> trainingTokens,
        ReadOnlyMemory<ushort> validationTokens,
        bool resume = false,
        StoredModel? initial = null
    )
    {
        TrainingConfig training = trainer.Config;
        RequireData(training, trainingTokens.Length, validationTokens.Length);
        _folder = folder;
        _training = new BatchSource(trainingTokens, training.BatchSequences, training.ContextTokens);
        _validation = new BatchSource(validationTokens, training.BatchSequences, training.ContextTokens);
        _trainer = trainer;
        RequireSameStart();
        _lock = trainer.Group.IsLeader() ? FolderLock.Take(folder.Directory) : null;
        try
        {
            Begin(resume, initial);
        }
        catch
        {
            _lock?.Dispose();
            throw;
        }
    }

    public ModelParameters Parameters => _trainer.Parameters;

    /// <summary>Where metrics and checkpoints go.</summary>
    public RunFolder Folder => _folder;

    /// <summary>The step to do next, from 0.</summary>
    public int NextStep => _nextStep;

    /// <summary>N: the run takes steps 0..N inclusive.</summary>
    public int LastStep => _trainer.Config.LastStep();

    /// <summary>Why the run goes on from an earlier checkpoint than the last; null if it does not.</summary>
    public string? ResumeWarning { get; private set; }

    /// <summary>Steps skipped because a number was not finite.</summary>
    public int SkippedSteps => _watch.Skipped;

    /// <summary>Trains to the end, or until asked to stop; then writes a checkpoint.</summary>
    /// <param name="onMetrics">Called for every line of metrics.</param>
    /// <param name="stop">Finishes the step in progress and checkpoints; one process that is asked to stop stops all.</param>
    /// <param name="onSkip">Called with the reason for every step that is skipped.</param>
    /// <returns>Whether the run reached its last step.</returns>
    /// <exception cref="NumericalException">A number is not finite; the last checkpoint stands.</exception>
    /// <exception cref="WriteFailedException">A file cannot be written; the last checkpoint stands.</exception>
    public bool Run(Action<TrainingMetrics>? onMetrics = null, CancellationToken stop = default, Action<string>? onSkip = null)
    {
        TrainingConfig config = _trainer.Config;
        int lastStep = config.LastStep();
        long tokensPerStep = (long)config.BatchSequences * config.ContextTokens;
        long started = Stopwatch.GetTimestamp();
        TimeSpan waited = _trainer.ExchangeWaited;
        int sinceLine = 0;
        bool isLeader = _trainer.Group.IsLeader();
        while (_nextStep <= lastStep && !_trainer.Group.Any(stop.IsCancellationRequested))
        {
            int step = _nextStep;
            (double? loss, double? rms) = Step(step, onSkip);
            double? spike = null;
            if (loss is { } seen)
            {
                (_watch, spike) = _watch.After(seen);
            }

            _nextStep++;
            sinceLine++;
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            bool evaluate = step % config.EvaluateEvery == 0 || step == lastStep;
            if (evaluate)
            {
                _trainer.RequireFiniteWeights(step);
            }

            double? validationLoss = evaluate ? FiniteValidationLoss(step) : null;
            double? kurtosis = evaluate ? _trainer.FinalResidualKurtosis() : null;
            if (_nextStep % config.CompareWeightsEvery == 0 || step == lastStep)
            {
                _trainer.RequireSameWeights(step);
            }

            if (isLeader && (evaluate || spike is not null || step % config.LogEvery == 0))
            {
                var metrics = new TrainingMetrics
                {
                    Step = step,
                    Tokens = (step + 1) * tokensPerStep,
                    Loss = loss,
                    LearningRate = _trainer.Sparsity.Schedule.LearningRate(step),
                    Pfrac = config.Pfrac is null ? null : _trainer.Sparsity.Schedule.Pfrac(step),
                    GradientRms = rms,
                    LossSpike = spike,
                    SkippedSteps = _watch.Skipped,
                    Terms = loss is null ? null : _trainer.Terms,
                    ExchangeShare = _trainer.Group is null
                        ? null
                        : Math.Round((_trainer.ExchangeWaited - waited).TotalSeconds / seconds, 3),
                    TokensPerSecond = Math.Round(sinceLine * tokensPerStep / seconds, 1),
                };
                if (evaluate)
                {
                    metrics = metrics with
                    {
                        ValidationLoss = validationLoss,
                        Statistics = ModelStatistics.Of(_trainer.Parameters),
                        FinalResidualKurtosis = kurtosis,
                    };
                }

                AtomicFile.AppendText(_folder.MetricsPath, JsonText.WriteLine(metrics));
                onMetrics?.Invoke(metrics);
                started = Stopwatch.GetTimestamp();
                waited = _trainer.ExchangeWaited;
                sinceLine = 0;
            }

            if (_nextStep % config.CheckpointEvery == 0 && _nextStep <= lastStep)
            {
                WriteCheckpoint();
            }
        }

        WriteCheckpoint();
        return _nextStep > lastStep;
    }

    /// <summary>Mean loss over the first validation_tokens tokens, in whole batches of consecutive windows.</summary>
    public double ValidationLoss() => _trainer.MeanLoss(_validation, CountValidationBatches(_validation, _trainer.Config));

    /// <summary>The loss of the best bigram predictor on the same validation windows.</summary>
    internal static double BigramLoss(
        TrainingConfig training,
        int vocabulary,
        ReadOnlyMemory<ushort> trainingTokens,
        ReadOnlyMemory<ushort> validationTokens
    )
    {
        var source = new BatchSource(validationTokens, training.BatchSequences, training.ContextTokens);
        var windows = new List<int>();
        for (int i = 0; i < CountValidationBatches(source, training); i++)
        {
            windows.AddRange(source.Consecutive(i));
        }

        return BigramBaseline.Loss(
            trainingTokens.Span,
            System.Runtime.InteropServices.CollectionsMarshal.AsSpan(windows),
            training.ContextTokens,
            vocabulary
        );
    }

    public void Dispose()
    {
        _trainer.Dispose();
        _lock?.Dispose();
    }

    /// <summary>How many batches measure the validation loss.</summary>
    internal static int CountValidationBatches(BatchSource source, TrainingConfig config) =>
        Math.Min(source.ConsecutiveBatches, Math.Max(1, config.ValidationTokens / config.BatchSequences / config.ContextTokens));

    /// <summary>Whether there is text enough for one batch; asked before a model is allocated.</summary>
    /// <exception cref="BadInputException">There is not.</exception>
    internal static void RequireData(TrainingConfig training, int trainingTokens, int validationTokens)
    {
        Require(trainingTokens, training.ContextTokens, "training");
        Require(validationTokens, (long)training.ContextTokens * training.BatchSequences, "validation");

        static void Require(int given, long needed, string what)
        {
            if (given < needed)
            {
                throw new BadInputException(
                    $"The {what} data has {given} tokens, but one batch of it needs {needed}. Give more text, or lower "
                        + $"batch_sequences or context_tokens."
                );
            }
        }
    }

    /// <summary>Compares what ranks were started with; of the training stream a sample from all over it, the first batch.</summary>
    private void RequireSameStart()
    {
        if (_trainer.Group is { } group)
        {
            Replicas.RequireSame(group, System.Text.Encoding.UTF8.GetBytes(_trainer.Settings), "settings");
            Replicas.RequireSame(
                group,
                System.Runtime.InteropServices.MemoryMarshal.AsBytes(_training.Random(_trainer.Config.Seed, 0)),
                "training data"
            );
        }
    }

    private void Begin(bool resume, StoredModel? initial)
    {
        if (_trainer.Group.IsLeader())
        {
            BeginAlone(resume, initial);
        }

        _trainer.Group.Broadcast(ref _nextStep);
        _trainer.Replicate();
    }

    private void BeginAlone(bool resume, StoredModel? initial)
    {
        if (resume && _folder.HasState)
        {
            RestoredState state = _trainer.Resume(_folder);
            _nextStep = state.NextStep;
            ResumeWarning = state.ResumeWarning;
            if (state.Metadata.TryGetValue(LossWatch.Key, out string? watch))
            {
                _watch = JsonText.Read<LossWatch>(JsonText.ParseObject(watch, _folder.StatePath), _folder.StatePath);
            }
        }
        else
        {
            if (initial is not null)
            {
                _trainer.Initialise(initial);
            }
            else
            {
                _trainer.Initialise();
            }

            _trainer.InitialiseFromData(_training);
        }

        KeepMetricsBefore(_nextStep);
    }

    /// <summary>One step; nothing for one that was skipped.</summary>
    private (double? Loss, double? GradientRms) Step(int step, Action<string>? onSkip)
    {
        try
        {
            return _trainer.Step(step, _training.Random(_trainer.Config.Seed, step));
        }
        // With bad weights every step would be skipped.
        catch (NumericalException e) when (_trainer.Config.OnNan == NonFinite.Skip && _trainer.HasFiniteWeights)
        {
            _trainer.DiscardGradients();
            _watch = _watch with { Skipped = _watch.Skipped + 1 };
            onSkip?.Invoke($"skipped {e.Message}");
            return (null, null);
        }
    }

    private double FiniteValidationLoss(int step)
    {
        double loss = ValidationLoss();
        return double.IsFinite(loss)
            ? loss
            : throw new NumericalException($"step {step}: the validation loss is {loss}. The last checkpoint stands.");
    }

    private void WriteCheckpoint()
    {
        _trainer.RequireFiniteWeights(_nextStep - 1);
        if (!_trainer.Group.IsLeader())
        {
            return;
        }

        if (File.Exists(_folder.MetricsPath))
        {
            AtomicFile.FlushToDisk(_folder.MetricsPath); // the lines before a checkpoint are not written again
        }

        _trainer.Checkpoint(_folder, _nextStep, JsonText.WriteLine(_watch).TrimEnd());
    }

    /// <summary>Drops lines of steps that will be done again, so that none stands twice.</summary>
    private void KeepMetricsBefore(int step)
    {
        if (File.Exists(_folder.MetricsPath))
        {
            AtomicFile.WriteText(_folder.MetricsPath, LinesBefore(step, JsonText.ReadAllText(_folder.MetricsPath)));
        }
    }

    internal static string LinesBefore(int step, string metrics) =>
        string.Concat(metrics.Split('\n').Where(line => StepOf(line) < step).Select(line => line + "\n"));

    private static int StepOf(string line)
    {
        try
        {
            return JsonText.ParseObject(line, "a line of metrics")["step"] is JsonValue value && value.TryGetValue(out int step)
                ? step
                : int.MaxValue;
        }
        catch (BadInputException)
        {
            return int.MaxValue; // a line cut short when the run was killed
        }
    }
}
