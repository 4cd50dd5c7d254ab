namespace Sparsity.Core.Model;

/// <summary>The official state-dict names.</summary>
public static class ParameterNames
{
    public const string Token = "transformer.wte.weight";
    public const string Position = "transformer.wpe.weight";
    public const string Bigram = "bigram_table";
    public const string FinalNorm = "transformer.ln_f";
    public const string Unembedding = "lm_head.weight";
    public const string LogitsBias = "final_logits_bias";

    /// <summary>The prefix of a layer's parameters.</summary>
    public static string Layer(int layer) => $"transformer.h.{layer}.";
}
