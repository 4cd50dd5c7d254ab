using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.TestSupport;

/// <summary>The whole model of docs/method.md section 1 in double precision, out of <see cref="Reference"/>'s operations.</summary>
/// <param name="config">Any.</param>
/// <param name="parameters">By official name: double[,] for matrices, double[] for vectors. Read anew at every call.</param>
internal sealed class ReferenceModel(ModelConfig config, IReadOnlyDictionary<string, Array> parameters)
{
    /// <summary>Mean cross-entropy over the targets that are not negative.</summary>
    public double Loss(int[,] tokens, int[,] targets)
    {
        double[,,] losses = Reference.CrossEntropy(Logits(tokens), targets);
        return Flat.Of(losses).ToArray().Sum() / targets.Cast<int>().Count(target => target >= 0);
    }

    /// <summary>[B,T,V].</summary>
    public double[,,] Logits(int[,] tokens)
    {
        double[,] positions = Matrix(ParameterNames.Position);
        bool concatenated = config.DPosEmb is not null;
        double[,,] residual = Reference.Embedding(tokens, Matrix(ParameterNames.Token), concatenated ? null : positions);
        double[,,]? embedded = concatenated ? Reference.Embedding(tokens, null, positions) : null;
        residual = At(new Site(0, SiteKind.ResidIn), residual);
        for (int layer = 0; layer < config.NLayer; layer++)
        {
            residual = AfterAddition(residual, Attention(layer, residual, embedded), new Site(layer, SiteKind.ResidMid));
            residual = AfterAddition(
                residual,
                Mlp(layer, residual, embedded),
                layer == config.NLayer - 1 ? new Site(config.NLayer, SiteKind.FinalResid) : new Site(layer + 1, SiteKind.ResidIn)
            );
        }

        double[,,] logits = Reference.Linear(
            Norm(ParameterNames.FinalNorm, residual),
            Matrix(config.TiedUnembed ? ParameterNames.Token : ParameterNames.Unembedding),
            Vector(ParameterNames.LogitsBias)
        );
        return config.EnableBigramTable ? Reference.Bigram(tokens, Matrix(ParameterNames.Bigram), logits) : logits;
    }

    private double[,,] Attention(int layer, double[,,] residual, double[,,]? positions)
    {
        string prefix = ParameterNames.Layer(layer);
        double[,,] input = At(new Site(layer, SiteKind.AttnActIn), Input(prefix, "1", residual, positions));
        double[,,] all = Linear(prefix + "attn.c_attn", input);
        double[,,] output = Reference
            .Attention(
                At(new Site(layer, SiteKind.AttnQ), Part(all, 0)),
                At(new Site(layer, SiteKind.AttnK), Part(all, 1)),
                At(new Site(layer, SiteKind.AttnV), Part(all, 2)),
                config.NHead,
                Vector(prefix + "attn.attn_imp.sink_logit")
            )
            .Output;
        return At(new Site(layer, SiteKind.AttnResidDelta), Linear(prefix + "attn.c_proj", output));
    }

    private double[,,] Mlp(int layer, double[,,] residual, double[,,]? positions)
    {
        string prefix = ParameterNames.Layer(layer);
        double[,,] input = At(new Site(layer, SiteKind.MlpActIn), Input(prefix, "2", residual, positions));
        double[,,] neurons = Reference.Activation(
            config.ActivationKind,
            At(new Site(layer, SiteKind.MlpPreAct), Linear(prefix + "mlp.c_fc", input))
        );
        return At(
            new Site(layer, SiteKind.MlpResidDelta),
            Linear(prefix + "mlp.c_proj", At(new Site(layer, SiteKind.MlpPostAct), neurons))
        );
    }

    private double[,,] AfterAddition(double[,,] residual, double[,,] delta, Site site)
    {
        double[,,] sum = Reference.Add(residual, delta);
        return At(site, config.ResidualActivationType == "relu" ? Reference.Activation(ActivationKind.Relu, sum) : sum);
    }

    private double[,,] Input(string prefix, string number, double[,,] residual, double[,,]? positions)
    {
        double[,,] normed = Norm($"{prefix}ln_{number}", residual);
        if (positions is null)
        {
            return normed;
        }

        double[,,] normedPositions = Norm($"{prefix}ln_p{number}", positions);
        int first = normed.GetLength(2);
        return Build(
            normed,
            first + normedPositions.GetLength(2),
            (b, t, c) => c < first ? normed[b, t, c] : normedPositions[b, t, c - first]
        );
    }

    /// <summary>AbsTopK where the configuration has it.</summary>
    private double[,,] At(Site site, double[,,] values)
    {
        if (config.KeptAt(site) is not { } keep)
        {
            return values;
        }

        double[,,] kept = ReferenceSelection.AbsTopK(values, keep);
        return Build(values, values.GetLength(2), (b, t, c) => values[b, t, c] * kept[b, t, c]);
    }

    private double[,,] Part(double[,,] all, int part) =>
        Build(all, config.AttentionChannels, (b, t, c) => all[b, t, (part * config.AttentionChannels) + c]);

    private double[,,] Norm(string name, double[,,] input) =>
        Reference.Norm(config.NormKind, input, Vector(name + ".weight")!, Vector(name + ".bias")).Output;

    private double[,,] Linear(string name, double[,,] input) => Reference.Linear(input, Matrix(name + ".weight"), Vector(name + ".bias"));

    private double[,] Matrix(string name) => (double[,])parameters[name];

    private double[]? Vector(string name) => (double[]?)parameters.GetValueOrDefault(name);

    private static double[,,] Build(double[,,] like, int channels, Func<int, int, int, double> entry)
    {
        var result = new double[like.GetLength(0), like.GetLength(1), channels];
        for (int b = 0; b < result.GetLength(0); b++)
        {
            for (int t = 0; t < result.GetLength(1); t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    result[b, t, c] = entry(b, t, c);
                }
            }
        }

        return result;
    }
}
