using System.Security.Cryptography;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using IO = System.IO;

namespace Sparsity.Core.Reproduction;

/// <summary>A finished stage of a figure in the folder of a shard, to be copied into the one that shards are joined in.</summary>
/// <param name="Shard">The shard's folder.</param>
/// <param name="Name">Path below it.</param>
/// <param name="Essence">The file that comes last, and has the same bytes wherever the stage is made.</param>
/// <param name="DataName">Of the shard's own text; null where it was given.</param>
internal sealed record StageFolder(string Shard, string Name, string Essence, string? DataName)
{
    public string Path => IO.Path.Combine(Shard, Name);

    /// <summary>Compares it with one of the same name, if there is one.</summary>
    /// <param name="other">Its folder.</param>
    /// <exception cref="BadInputException">It is not whole, or they are not the same.</exception>
    public void RequireSame(string other)
    {
        if (!File.Exists(IO.Path.Combine(Path, Essence)))
        {
            throw new BadInputException($"{Path}: has no {Essence}. Run the shard again, which makes what is missing.");
        }

        if (Directory.Exists(other) && Hash(Path) != Hash(other))
        {
            throw new BadInputException(
                $"{IO.Path.Combine(Path, Essence)}: is not the same as in {other}: made on another kind of machine, or by another "
                    + $"version. Remove one, and make it anew."
            );
        }

        string? Hash(string folder)
        {
            string path = IO.Path.Combine(folder, Essence);
            if (!File.Exists(path))
            {
                return null;
            }

            using FileStream file = File.OpenRead(path);
            return Convert.ToHexString(SHA256.HashData(file));
        }
    }

    /// <summary>Copies it, unless it is there already; under another name first, so that what has the name is whole.</summary>
    public void CopyTo(string joined)
    {
        string target = IO.Path.Combine(joined, Name);
        if (Directory.Exists(target))
        {
            return;
        }

        string partial = target + ".partial";
        if (Directory.Exists(partial))
        {
            Directory.Delete(partial, recursive: true);
        }

        foreach (string path in Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories))
        {
            string relative = IO.Path.GetRelativePath(Path, path);
            if (!relative.StartsWith(FolderLock.FileName, StringComparison.Ordinal))
            {
                string copy = IO.Path.Combine(partial, relative);
                AtomicFile.CreateDirectory(IO.Path.GetDirectoryName(copy)!);
                CopyFile(path, copy, joined);
            }
        }

        Directory.Move(partial, target);
    }

    /// <summary>What names folders of the shard names those of the joined folder in the copy.</summary>
    private void CopyFile(string path, string copy, string joined)
    {
        switch (IO.Path.GetFileName(path))
        {
            case "run.json" when DataName is not null:
                Write(JsonText.ReadFile<RunRecord>(path) with { Data = IO.Path.GetFullPath(IO.Path.Combine(joined, DataName)) });
                break;
            case "prune.json":
                var plan = PruningPlan.Load(path);
                Write(plan with { Model = Model(plan.Model) });
                break;
            case "circuit.json":
                var circuit = Circuit.Load(path);
                Write(circuit with { Model = Model(circuit.Model) });
                break;
            default:
                AtomicFile.Write(
                    copy,
                    to =>
                    {
                        using FileStream from = File.OpenRead(path);
                        from.CopyTo(to);
                    }
                );
                break;
        }

        void Write<T>(T content) => AtomicFile.WriteText(copy, JsonText.Write(content));

        string Model(string folder) => IO.Path.Combine(joined, "models", IO.Path.GetFileName(folder));
    }
}
