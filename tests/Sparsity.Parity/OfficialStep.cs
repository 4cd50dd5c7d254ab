using System.Text.Json;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Parity;

/// <summary>
/// One training step of the official script from its own state (single/NAME in the README of the fixtures). A free run leaves the official
/// one for good at the first near tie that rounding decides the other way; a step that begins at the official state cannot.
/// </summary>
internal sealed class OfficialStep
{
    private static readonly string[] Kinds = ["before", "before_adam_m", "before_adam_v", "gradient", "after_adam", "after"];

    private static readonly string[] ValueKinds = ["before", "after_adam", "after"];

    private OfficialStep(OfficialFixture fixture, JsonElement expected)
    {
        Fixture = fixture;
        Expected = expected;
        Number = expected.GetProperty("step").GetInt32();
        Model = ModelConfig.Parse(fixture.Meta.GetProperty("config").GetRawText(), fixture.Name);
        Training = OfficialSettings.Read(fixture.Meta, Model);
    }

    public OfficialFixture Fixture { get; }

    /// <summary>Loss, schedule and selection of the step: an entry of the fixture's meta.steps.</summary>
    public JsonElement Expected { get; }

    /// <summary>0-based; Adam's count is one more.</summary>
    public int Number { get; }

    public ModelConfig Model { get; }

    public TrainingConfig Training { get; }

    /// <summary>Every step of a fixture.</summary>
    /// <exception cref="InvalidDataException">It has no step, or a tensor that no step compares.</exception>
    public static IReadOnlyList<OfficialStep> AllOf(OfficialFixture fixture)
    {
        OfficialStep[] steps =
        [
            .. fixture.Meta.GetProperty("steps").EnumerateArray().Select(expected => new OfficialStep(fixture, expected)),
        ];
        if (steps.Length == 0)
        {
            throw new InvalidDataException($"{fixture.Name}: has no step.");
        }

        HashSet<string> known = [.. steps.SelectMany(step => step.KnownTensors())];
        return fixture.TensorNames.FirstOrDefault(name => !known.Contains(name)) is { } unknown
            ? throw new InvalidDataException($"{fixture.Name}: the tensor {unknown} is not understood.")
            : steps;
    }

    /// <summary>The fixture's name of a tensor of this step.</summary>
    /// <param name="kind">before, before_adam_m, before_adam_v, gradient, after_adam or after.</param>
    /// <param name="parameter">Its official name.</param>
    public string Tensor(string kind, string parameter) => $"{Number}/{kind}/{parameter}";

    /// <summary>
    /// Takes the step twice from the official state: in its parts, to see gradients and the weights before selection, and as a training run
    /// does.
    /// </summary>
    public StepValues Run(IComputeEngine engine)
    {
        int[] tokens = Fixture.Integers($"{Number}/tokens");
        using var trainer = new Trainer(engine, Model, Training);
        ModelParameters parameters = trainer.Parameters;
        using var adam = new AdamW(engine, parameters.Trained, Training with { WeightDecay = 0 }, trainer.Sparsity.Schedule);
        using BackwardState backward = trainer.Model.CreateBackwardState(Training.BatchSequences, Training.ContextTokens);
        Restore(parameters, adam.Moments);
        trainer.Loss.Run(tokens, withGradient: true);
        trainer.Loss.Backward(backward);
        Dictionary<string, float[]> gradients = Read(parameters, parameters.Trained, parameter => parameter.Gradient!);
        adam.MeasureGradient();
        engine.Fetch(adam.GradientRms);
        adam.Step(Number);
        Dictionary<string, float[]> afterAdam = Read(parameters, parameters.All, parameter => parameter.Value);

        Restore(parameters, trainer.Optimizer.Moments);
        (double loss, double rms) = trainer.Step(Number, tokens);
        Schedule schedule = trainer.Sparsity.Schedule;
        Dictionary<string, int> kept = parameters.Trained.ToDictionary(
            parameter => parameter.Spec.Name,
            parameter => trainer.Sparsity.Kept(parameter.Spec, Number)
        );
        return new StepValues(
            schedule.LearningRate(Number),
            schedule.Pfrac(Number),
            kept,
            loss,
            rms,
            gradients,
            afterAdam,
            Read(parameters, parameters.All, parameter => parameter.Value)
        );
    }

    /// <summary>Writes the state at the start of the step: what a checkpoint holds.</summary>
    public void Restore(ModelParameters parameters, IEnumerable<AdamMoments> moments)
    {
        IComputeEngine engine = parameters.Engine;
        foreach (Parameter parameter in parameters.All)
        {
            string before = Tensor("before", parameter.Spec.Name);
            if (!parameter.Spec.IsBuffer || Fixture.Contains(before))
            {
                engine.Write(parameter.Value, Fixture.Floats(before));
            }
        }

        foreach (AdamMoments moment in moments)
        {
            string name = moment.Parameter.Spec.Name;
            engine.Write(moment.First, Moment("before_adam_m", name));
            engine.Write(moment.Second, Moment("before_adam_v", name));
        }
    }

    /// <summary>A moment at the start of the step. Before the first step the script has none yet: they are zero.</summary>
    public float[] Moment(string kind, string parameter) =>
        Number == 0 && !Fixture.Contains(Tensor(kind, parameter))
            ? new float[Fixture.Floats(Tensor("before", parameter)).Length]
            : Fixture.Floats(Tensor(kind, parameter));

    private static Dictionary<string, float[]> Read(
        ModelParameters parameters,
        IEnumerable<Parameter> which,
        Func<Parameter, WeightTensor> tensorOf
    ) =>
        which.ToDictionary(
            parameter => parameter.Spec.Name,
            parameter =>
            {
                var values = new float[parameter.Spec.Length];
                parameters.Engine.Read(tensorOf(parameter), values);
                return values;
            }
        );

    /// <summary>What may be in the fixture: of parameters that are not trained only their values.</summary>
    private IEnumerable<string> KnownTensors() =>
        [
            $"{Number}/tokens",
            .. ParameterSpec
                .ListFor(Model)
                .SelectMany(
                    spec => !spec.IsBuffer && Trainer.Trains(Model, Training, spec) ? Kinds : ValueKinds,
                    (spec, kind) => Tensor(kind, spec.Name)
                ),
        ];
}

/// <summary>What a training step did.</summary>
/// <param name="LearningRate">Of the step.</param>
/// <param name="Pfrac">The nonzero budget; infinite where there is none.</param>
/// <param name="Kept">Entries of each trained parameter that may be nonzero.</param>
/// <param name="Loss">Before the update.</param>
/// <param name="GradientRms">Over all trained parameters together.</param>
/// <param name="Gradients">Of the loss, not scaled; by the parameter's name, as what follows.</param>
/// <param name="AfterAdam">Weights before selection and decay.</param>
/// <param name="After">Weights at the end of the step.</param>
internal sealed record StepValues(
    double LearningRate,
    double Pfrac,
    IReadOnlyDictionary<string, int> Kept,
    double Loss,
    double GradientRms,
    IReadOnlyDictionary<string, float[]> Gradients,
    IReadOnlyDictionary<string, float[]> AfterAdam,
    IReadOnlyDictionary<string, float[]> After
);
