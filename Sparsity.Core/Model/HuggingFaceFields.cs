namespace Sparsity.Core.Model;

/// <summary>Fields that Hugging Face's programs write into every config.json, whatever the model.</summary>
internal static class HuggingFaceFields
{
    private static readonly HashSet<string> OfEveryModel = new(StringComparer.Ordinal)
    {
        "_name_or_path",
        "_attn_implementation_autoset",
        "architectures",
        "auto_map",
        "bos_token_id",
        "chunk_size_feed_forward",
        "custom_pipelines",
        "dtype",
        "eos_token_id",
        "finetuning_task",
        "id2label",
        "is_decoder",
        "is_encoder_decoder",
        "label2id",
        "model_type",
        "output_attentions",
        "output_hidden_states",
        "pad_token_id",
        "problem_type",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "task_specific_params",
        "tokenizer_class",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_cache",
    };

    /// <summary>Whether a field says nothing of how the model computes.</summary>
    public static bool Contains(string name) => OfEveryModel.Contains(name);
}
