using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>Every kernel of the assembly; generic ones with every argument that fits.</summary>
internal static class KernelTypes
{
    private static readonly Type[] Structs = [.. typeof(IKernel).Assembly.GetTypes().Where(type => type.IsValueType)];

    public static IReadOnlyList<Type> All { get; } =
    [
        .. Structs.Where(type => type.IsAssignableTo(typeof(IKernel))).OrderBy(type => type.FullName, StringComparer.Ordinal).SelectMany(Closed),
    ];

    /// <summary>As messages name it: Attention.ForwardKernel&lt;Channels16&gt;.</summary>
    public static string NameOf(Type type)
    {
        string name = type.Name.Split('`')[0];
        string arguments = type.IsGenericType ? $"<{string.Join(",", type.GetGenericArguments().Select(NameOf))}>" : "";
        return (type.DeclaringType is null ? "" : type.DeclaringType.Name + ".") + name + arguments;
    }

    private static IEnumerable<Type> Closed(Type type)
    {
        if (!type.IsGenericTypeDefinition)
        {
            return [type];
        }

        // The first constraint that is an interface of this assembly says what fits.
        Type constraint = type.GetGenericArguments().Single().GetGenericParameterConstraints().Single(candidate => candidate.IsInterface);
        IEnumerable<Type> arguments = constraint.IsGenericType
            ? [typeof(Channels16), typeof(Pair<Channels16>), typeof(Pair<Pair<Channels16>>), typeof(Pair<Pair<Pair<Channels16>>>)]
            : Structs.Where(candidate => candidate.IsAssignableTo(constraint));
        return arguments.Select(argument => type.MakeGenericType(argument));
    }
}
