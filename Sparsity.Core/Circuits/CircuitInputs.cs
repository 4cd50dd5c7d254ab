using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Circuits;

/// <summary>
/// What an imported circuit is measured on, beside its circuit.json: the task's prompts in prompts.json, and what nodes outside it are
/// frozen at in means.safetensors. Circuits that this program finds need neither: their prompts are drawn again, and their means measured
/// again.
/// </summary>
/// <param name="Pairs">Prompts with their answers.</param>
/// <param name="Means">One per node of the circuit's layout.</param>
internal sealed record CircuitInputs(IReadOnlyList<TokenizedPair> Pairs, float[] Means)
{
    public const string PromptsName = "prompts.json";

    /// <summary>Tokens of the longest prompt.</summary>
    public int LongestPrompt => Pairs.Max(pair => Math.Max(pair.First.Length, pair.Second.Length));

    /// <summary>Writes both files.</summary>
    public void WriteTo(string directory, Circuit circuit, NodeLayout layout)
    {
        AtomicFile.WriteText(
            Path.Combine(directory, PromptsName),
            JsonText.WriteLine(
                new PromptsFile
                {
                    Task = circuit.Task,
                    ModelFingerprint = circuit.ModelFingerprint,
                    Pairs = Pairs,
                }
            )
        );
        MeansFile.Write(Path.Combine(directory, MeansFile.Name), layout, Means, circuit.ModelFingerprint);
    }

    /// <summary>Reads both files.</summary>
    /// <exception cref="BadInputException">One is missing, damaged, or belongs to another circuit.</exception>
    public static CircuitInputs Load(string directory, Circuit circuit, ModelConfig model)
    {
        NodeLayout layout = circuit.LayoutIn(model);
        return new CircuitInputs(
            LoadPairs(directory, circuit, model),
            MeansFile.Read(
                Path.Combine(directory, MeansFile.Name),
                layout,
                circuit.ModelFingerprint,
                "Import the circuit again, to another folder."
            )
        );
    }

    /// <summary>Reads prompts.json alone.</summary>
    /// <exception cref="BadInputException">It is missing, damaged, or belongs to another circuit.</exception>
    public static IReadOnlyList<TokenizedPair> LoadPairs(string directory, Circuit circuit, ModelConfig model)
    {
        string path = Path.Combine(directory, PromptsName);
        PromptsFile file = JsonText.ReadFile<PromptsFile>(path);
        if (file.ModelFingerprint != circuit.ModelFingerprint || file.Task != circuit.Task)
        {
            throw OfAnother(path);
        }

        if (
            file.Pairs.Count == 0
            || !file.Pairs.All(pair => IsPrompt(pair.First) && IsPrompt(pair.Second) && IsToken(pair.AnswerA) && IsToken(pair.AnswerB))
        )
        {
            throw new BadInputException(
                $"{path}: must have pairs of prompts with 1 to {model.BlockSize} tokens, each from 0 to {model.VocabSize - 1}, and so "
                    + $"must be the answers. Import the circuit again."
            );
        }

        return file.Pairs;

        bool IsPrompt(int[] tokens) => tokens.Length >= 1 && tokens.Length <= model.BlockSize && tokens.All(IsToken);

        bool IsToken(int token) => token >= 0 && token < model.VocabSize;
    }

    private static BadInputException OfAnother(string path) =>
        new($"{path}: belongs to another circuit than the circuit.json beside it. Import the circuit again, to another folder.");

    private sealed record PromptsFile
    {
        public int FormatVersion { get; init; } = FileFormat.Version;

        public required string Task { get; init; }

        public required string ModelFingerprint { get; init; }

        public required IReadOnlyList<TokenizedPair> Pairs { get; init; }
    }
}
