using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>Keeps the copies of a model on all ranks the same: they begin with the same bits, and are compared now and then.</summary>
internal static class Replicas
{
    /// <summary>Overwrites tensors with rank 0's.</summary>
    public static void Broadcast(IComputeEngine engine, IProcessGroup group, IEnumerable<WeightTensor> tensors)
    {
        foreach (WeightTensor tensor in tensors)
        {
            var values = new float[tensor.Length];
            if (group.Rank == 0)
            {
                engine.Read(tensor, values);
            }

            group.Broadcast(MemoryMarshal.AsBytes(values.AsSpan()));
            if (group.Rank != 0)
            {
                engine.Write(tensor, values);
            }
        }
    }

    /// <summary>Compares the weights of all ranks by hash.</summary>
    /// <exception cref="NumericalException">One rank's differ from rank 0's; thrown on every rank.</exception>
    public static void RequireSameWeights(IComputeEngine engine, IProcessGroup group, IReadOnlyList<Parameter> parameters, int step)
    {
        ulong[] own = [.. parameters.Select(parameter => Hash(engine, parameter.Value))];
        var all = new ulong[group.Size * own.Length];
        group.AllGather(MemoryMarshal.AsBytes<ulong>(own), MemoryMarshal.AsBytes(all.AsSpan()));
        for (int i = own.Length; i < all.Length; i++)
        {
            if (all[i] != all[i % own.Length])
            {
                throw new NumericalException(
                    $"step {step}: {parameters[i % own.Length].Spec.Name} of rank {i / own.Length} is no longer the same as rank 0's. "
                        + "The last checkpoint stands; if it happens again when the run is resumed, suspect that rank's device or memory."
                );
            }
        }
    }

    /// <exception cref="BadInputException">A rank began with something else than rank 0; thrown on every rank.</exception>
    public static void RequireSame(IProcessGroup group, ReadOnlySpan<byte> data, string what)
    {
        ulong[] all = group.Gather(Hash(data));
        int other = Array.FindIndex(all, hash => hash != all[0]);
        if (other >= 0)
        {
            throw new BadInputException(
                $"Rank {other} has {what} other than rank 0's. Start all ranks with the same arguments, and let them see the same files."
            );
        }
    }

    private static ulong Hash(IComputeEngine engine, WeightTensor tensor)
    {
        var values = new float[tensor.Length];
        engine.Read(tensor, values);
        return Hash(MemoryMarshal.AsBytes<float>(values));
    }

    private static ulong Hash(ReadOnlySpan<byte> data)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(data, hash);
        return BitConverter.ToUInt64(hash);
    }
}
