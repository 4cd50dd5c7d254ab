using Sparsity.Core.Tasks;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Tasks;

public sealed class PromptTaskFileTests : IDisposable
{
    private const string Pair = """{"first": "a(\"x", "second": "a('x", "answer_a": "\")", "answer_b": "')"}""";
    private const string Other = """{"first": "b(\"x", "second": "b('x", "answer_a": "\")", "answer_b": "')"}""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AFileGivesATask()
    {
        PromptTask task = Load(
            $$"""{"format_version": 1, "name": "mine", "description": "quotes", "train": [{{Pair}}], "test": [{{Other}}]}"""
        );

        Assert.Equal(("mine", "quotes"), (task.Name, task.Description));
        Assert.Equal(new PromptPair("a(\"x", "a('x", "\")", "')"), task.Draw(TaskSplit.Train, new RandomSource(1)));
        Assert.Equal("b('x", task.Draw(TaskSplit.Test, new RandomSource(1)).Second);
    }

    [Fact]
    public void SinglePromptsAreDrawnTwoAtATimeWithAnswersOfTheirOwn()
    {
        const string Single =
            """{"format_version": 1, "name": "m", "description": "", "train": [{"prompt": "a", "right": "1", "wrong": "2"}, {"prompt": "b", "right": "3", "wrong": "4"}], "test": [{"prompt": "c", "right": "5", "wrong": "6"}]}""";
        PromptTask task = Load(Single);

        Assert.False(task.IsPaired);
        Assert.Equal(
            new PromptPair("a", "b", "1", "2") { OwnSecond = new AnswerPair("3", "4") },
            task.TrainTemplates[0](new RandomSource(1), 0)
        );
        Assert.Equal(
            new PromptPair("b", "a", "3", "4") { OwnSecond = new AnswerPair("1", "2") },
            task.TrainTemplates[1](new RandomSource(1), 0)
        );
        Assert.Equal(
            new PromptPair("c", "c", "5", "6") { OwnSecond = new AnswerPair("5", "6") },
            task.TestTemplates[0](new RandomSource(1), 0)
        );
    }

    [Theory]
    [InlineData("[]", "JSON object")]
    [InlineData("{", "not valid JSON")]
    [InlineData("""{"format_version": 2, "name": "m", "description": "", "train": [P], "test": [O]}""", "format_version is 2")]
    [InlineData("""{"format_version": 1, "name": "m m", "description": "", "train": [P], "test": [O]}""", "name is 'm m'")]
    [InlineData("""{"format_version": 1, "name": "m", "description": "", "train": [], "test": [O]}""", "train has no pairs")]
    [InlineData("""{"format_version": 1, "name": "m", "description": "", "train": [P], "test": [P]}""", "in train too")]
    [InlineData("""{"format_version": 1, "name": "m", "description": "", "train": [P], "test": [null]}""", "test[0] is null")]
    [InlineData("""{"format_version": 1, "name": "m", "description": "", "train": [P]}""", "test")]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "trian": [P], "train": [P], "test": [O]}""",
        "unknown field 'trian'"
    )]
    [InlineData("""{"format_version": 1, "name": "m", "description": "", "train": null, "test": [O]}""", "train")]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "a", "second": "b", "answer_a": "c"}], "test": [O]}""",
        "answer_b"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "a", "second": "a", "answer_a": "c", "answer_b": "d"}], "test": [O]}""",
        "equal prompts"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "", "second": "a", "answer_a": "c", "answer_b": "d"}], "test": [O]}""",
        "empty prompt"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "b", "second": "a", "answer_a": "c", "answer_b": "c"}], "test": [O]}""",
        "equal answers"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"prompt": "a", "right": "c"}], "test": [O]}""",
        "train[0] has no wrong"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"prompt": "a", "right": "c", "wrong": "c"}], "test": [O]}""",
        "equal answers"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"prompt": "a", "right": "c", "wrong": "d"}], "test": [O]}""",
        "one of the two kinds"
    )]
    [InlineData(
        """{"format_version": 1, "name": "m", "description": "", "train": [{"first": "a", "second": "b", "answer_a": "c", "answer_b": "d", "right": "e"}], "test": [O]}""",
        "is a pair and has right"
    )]
    public void WhatIsWrongIsSaidInOneLine(string json, string expected)
    {
        string message = Assert
            .Throws<BadInputException>(() =>
                Load(json.Replace("[P]", $"[{Pair}]", StringComparison.Ordinal).Replace("[O]", $"[{Other}]", StringComparison.Ordinal))
            )
            .Message;

        Assert.DoesNotContain('\n', message);
        Assert.Contains("task.json", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    /// <summary>However a file is laid out; what circuits of earlier versions keep stays right.</summary>
    [Fact]
    public void FingerprintsAreEqualForEqualTasksOnly()
    {
        string plain = Of($$"""{"format_version": 1, "name": "mine", "description": "quotes", "train": [{{Pair}}], "test": [{{Other}}]}""");
        string Of(string json) => Load(json).File!.Fingerprint;

        Assert.Equal("8aa3a68e8a3d5eb1b398d79cdf7bf509854a0f408dd55ebd806a25bdedf46b0c", plain);
        Assert.Equal(
            plain,
            Of(
                $$"""
                { "test" : [ {{Other}} ],
                  "train": [{"answer_b": "')", "answer_a": "\u0022)", "second": "a('x", "first": "a(\"\u0078", "prompt": null, "right": null, "wrong": null}],
                  "description": "quotes", "name": "mine", "format_version": 1 }
                """
            )
        );
        foreach (
            (string from, string to) in new[]
            {
                ("a(", "A("),
                ("\"description\": \"quotes\"", "\"description\": \"\""),
                ("\"mine\"", "\"yours\""),
            }
        )
        {
            Assert.NotEqual(
                plain,
                Of(
                    $$"""{"format_version": 1, "name": "mine", "description": "quotes", "train": [{{Pair}}], "test": [{{Other}}]}""".Replace(
                        from,
                        to,
                        StringComparison.Ordinal
                    )
                )
            );
        }

        const string Single =
            """{"format_version": 1, "name": "m", "description": "", "train": [{"prompt": "a", "right": "1", "wrong": "2"}], "test": [{"prompt": "c", "right": "5", "wrong": "6"}]}""";
        Assert.Equal(Of(Single), Of(Single.Replace("\"prompt\": \"a\"", "\"first\": null, \"prompt\": \"a\"", StringComparison.Ordinal)));
        Assert.NotEqual(
            Of(Single),
            Of(Single.Replace("\"right\": \"1\", \"wrong\": \"2\"", "\"right\": \"2\", \"wrong\": \"1\"", StringComparison.Ordinal))
        );
    }

    [Fact]
    public void AMissingFileIsReported() =>
        Assert.Contains(
            "cannot be read",
            Assert.Throws<BadInputException>(() => PromptTask.Load(_folder["no.json"])).Message,
            StringComparison.Ordinal
        );

    private PromptTask Load(string json)
    {
        string path = _folder["task.json"];
        File.WriteAllText(path, json);
        return PromptTask.Load(path);
    }
}
