using System.Reflection;
using System.Reflection.Emit;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>
/// The portable subset, held against the IL of every kernel and of all that it calls here: what ILGPU cannot compile, what it compiles
/// wrongly without a word (a bool made a float, signed division by a constant), and what not every device has.
/// </summary>
public class KernelLintTests
{
    private static readonly OpCode[] Forbidden =
    [
        OpCodes.Throw,
        OpCodes.Rethrow,
        OpCodes.Newarr,
        OpCodes.Ldstr,
        OpCodes.Box,
        OpCodes.Unbox,
        OpCodes.Unbox_Any,
        OpCodes.Ldsfld,
        OpCodes.Ldsflda,
        OpCodes.Stsfld,
        OpCodes.Ldc_R8,
        OpCodes.Conv_R8,
        OpCodes.Ldftn,
        OpCodes.Ldvirtftn,
        OpCodes.Calli,
        OpCodes.Localloc,
        OpCodes.Castclass,
        OpCodes.Isinst,
        OpCodes.Leave,
        OpCodes.Leave_S,
    ];

    /// <summary>All that kernels may use from outside this project.</summary>
    private static readonly HashSet<string> Allowed =
    [
        "Group.get_IdxX",
        "Group.get_DimX",
        "Group.Barrier",
        "Grid.get_IdxX",
        "Grid.get_IdxY",
        "SharedMemory.Allocate",
        "Interop.FloatAsInt",
        "Interop.IntAsFloat",
        "XMath.Exp",
        "XMath.Log",
        "XMath.Sqrt",
        "ArrayView`1.get_Item",
        "ArrayView`1.get_Length",
        "ArrayView`1.Cast",
        "ArrayView`1.SubView",
        "IAdditionOperators`3.op_Addition", // ILGPU compiles it to the addition of the type
    ];

    private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes)
        .GetFields()
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value);

    [Fact]
    public void EveryKernelKeepsToThePortableSubset()
    {
        var seen = new HashSet<MethodBase>();
        var faults = new List<string>();
        foreach (Type kernel in KernelSources.Kernels)
        {
            if (kernel.IsAssignableTo(typeof(ICudaKernel)))
            {
                // NVIDIA's own instructions are text that is handed through; all else in these kernels is portable.
                seen.UnionWith(typeof(TensorCores).GetMethods().Where(method => method.DeclaringType == typeof(TensorCores)));
            }

            Check(kernel.GetMethod(nameof(IKernel.Execute))!, KernelSources.NameOf(kernel), seen, faults);
        }

        Assert.True(seen.Count > 100, $"Only {seen.Count} methods were read.");
        Assert.True(faults.Count == 0, string.Join('\n', faults.Distinct()));
    }

    [Theory]
    [InlineData(nameof(Faulty.Throws), "throw")]
    [InlineData(nameof(Faulty.UsesMath), "Math.Clamp")]
    [InlineData(nameof(Faulty.UsesMathF), "MathF.FusedMultiplyAdd")]
    [InlineData(nameof(Faulty.UsesSpan), "Span")]
    [InlineData(nameof(Faulty.UsesString), "ldstr")]
    [InlineData(nameof(Faulty.MakesAClass), "newobj")]
    [InlineData(nameof(Faulty.BoolToFloat), "conv.r4 of a condition")]
    [InlineData(nameof(Faulty.DividesByAConstant), "div by a constant")]
    [InlineData(nameof(Faulty.UsesDouble), "conv.r8")]
    [InlineData(nameof(Faulty.CopiesHalf), "ArrayView`1 of Half")]
    [InlineData(nameof(Faulty.CallsAFaultyMethod), "throw")]
    public void EachFaultIsFound(string method, string expected) =>
        Assert.Contains(FaultsOf(typeof(Faulty).GetMethod(method)!), fault => fault.Contains(expected, StringComparison.Ordinal));

    /// <summary>
    /// ILGPU 1.5.3 identifies argument types by the numbers in them, however these are nested, and reads the arguments of all such kernels
    /// at the places of the first that it compiles: so structs inside structs must not move what follows them.
    /// </summary>
    [Fact]
    public void ArgumentsLieWhereTheirNumbersWouldLieAlone()
    {
        Assert.All(
            KernelSources.Kernels,
            kernel =>
            {
                var nested = new List<int>();
                var sizes = new List<int>();
                Place(kernel, 0, nested, sizes);
                Assert.True(
                    Alone(sizes).SequenceEqual(nested),
                    $"{KernelSources.NameOf(kernel)}: {string.Join(' ', nested)}, alone {string.Join(' ', Alone(sizes))}"
                );
            }
        );
        var offsets = new List<int>();
        var numbers = new List<int>();
        Place(typeof(PaddedInside), 0, offsets, numbers);
        Assert.Equal([0, 8, 16, 24], offsets);
        Assert.Equal([0, 8, 16, 20], Alone(numbers));
    }

    /// <summary>What is wrong with a method, and with all that it calls here.</summary>
    internal static IReadOnlyList<string> FaultsOf(MethodInfo method)
    {
        var faults = new List<string>();
        Check(method, method.Name, [], faults);
        return faults;
    }

    private static List<int> Alone(List<int> sizes)
    {
        var offsets = new List<int>();
        int at = 0;
        foreach (int size in sizes)
        {
            offsets.Add(RoundUp(at, size));
            at = offsets[^1] + size;
        }

        return offsets;
    }

    /// <summary>Appends the places and sizes of all numbers of a type, and returns its end and alignment.</summary>
    private static (int End, int Alignment) Place(Type type, int start, List<int> offsets, List<int> sizes)
    {
        int[] ofView = [8, 8]; // a pointer or an offset, and the length
        if (type.IsPrimitive || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ILGPU.ArrayView<>)))
        {
            foreach (int size in type.IsPrimitive ? [System.Runtime.InteropServices.Marshal.SizeOf(type)] : ofView)
            {
                offsets.Add(RoundUp(start, size));
                sizes.Add(size);
                start = offsets[^1] + size;
            }

            return (start, sizes[^1]);
        }

        FieldInfo[] fields =
        [
            .. type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).OrderBy(field => field.MetadataToken),
        ];
        int alignment = fields.Select(field => Place(field.FieldType, 0, [], []).Alignment).DefaultIfEmpty(1).Max();
        int at = RoundUp(start, alignment);
        foreach (FieldInfo field in fields)
        {
            at = Place(field.FieldType, at, offsets, sizes).End;
        }

        return (RoundUp(at, alignment), alignment);
    }

    private static int RoundUp(int at, int alignment) => (at + alignment - 1) / alignment * alignment;

    private static void Check(MethodBase method, string kernel, HashSet<MethodBase> seen, List<string> faults)
    {
        if (!seen.Add(method) || method.GetMethodBody() is not { } body)
        {
            return;
        }

        void Fault(string what) => faults.Add($"{kernel}: {method.DeclaringType!.Name}.{method.Name}: {what}");
        if (body.ExceptionHandlingClauses.Count > 0)
        {
            Fault("try");
        }

        byte[] code = body.GetILAsByteArray()!;
        List<(int At, OpCode Code, int Operand)> instructions = Read(code);
        Type[] ofType = method.DeclaringType!.IsGenericType ? method.DeclaringType.GetGenericArguments() : [];
        Type[] ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : [];
        for (int i = 0; i < instructions.Count; i++)
        {
            OpCode op = instructions[i].Code;
            if (Forbidden.Contains(op))
            {
                Fault(op.Name!);
            }

            bool followsConstant = i > 0 && instructions[i - 1].Code.Name!.StartsWith("ldc.i4", StringComparison.Ordinal);
            if (followsConstant && op.Name is ("div" or "rem"))
            {
                Fault(op.Name + " by a constant");
            }

            if (
                op == OpCodes.Conv_R4
                && i > 0
                && (followsConstant || instructions[i - 1].Code.Name is "ceq" or "clt" or "cgt" or "clt.un" or "cgt.un")
            )
            {
                Fault("conv.r4 of a condition");
            }

            if (op != OpCodes.Call && op != OpCodes.Callvirt && op != OpCodes.Newobj)
            {
                continue;
            }

            MethodBase called = method.Module.ResolveMethod(instructions[i].Operand, ofType, ofMethod)!;
            Type owner = called.DeclaringType!;
            if (op == OpCodes.Newobj && !owner.IsValueType)
            {
                Fault($"newobj {owner.Name}");
            }
            else if (owner == typeof(Faulty) || owner.Assembly == typeof(IKernel).Assembly)
            {
                Check(Implementation(called, method, ofType, ofMethod), kernel, seen, faults);
            }
            else if (!Allowed.Contains($"{owner.Name}.{called.Name}"))
            {
                Fault($"{owner.Name}.{called.Name}");
            }
            else if (owner.GetGenericArguments().FirstOrDefault(argument => argument.Name is "Half" or "Double") is { } element)
            {
                Fault($"{owner.Name} of {element.Name}");
            }
        }
    }

    /// <summary>
    /// For a call of an interface's member on a type parameter the methods that may be meant are kernels' own, which are read as such.
    /// </summary>
    private static MethodBase Implementation(MethodBase called, MethodBase caller, Type[] ofType, Type[] ofMethod)
    {
        if (!called.DeclaringType!.IsInterface)
        {
            return called;
        }

        Type implementing = ofMethod.Concat(ofType).First(type => type.IsAssignableTo(called.DeclaringType));
        InterfaceMapping map = implementing.GetInterfaceMap(called.DeclaringType);
        return map.TargetMethods[Array.IndexOf(map.InterfaceMethods, called)];
    }

    private static List<(int At, OpCode Code, int Operand)> Read(byte[] code)
    {
        var instructions = new List<(int, OpCode, int)>();
        for (int at = 0; at < code.Length; )
        {
            int start = at;
            short value = code[at++];
            if (value == 0xFE)
            {
                value = (short)(0xFE00 | code[at++]);
            }

            OpCode op = Codes[value];
            int size = op.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
            instructions.Add((start, op, size == 4 ? BitConverter.ToInt32(code, at) : 0));
            at += size;
        }

        return instructions;
    }

    private readonly struct EndsInAnInt(ILGPU.ArrayView<float> view, int stride)
    {
        public float Of(int row) => view[row * stride];
    }

    private readonly struct PaddedInside(EndsInAnInt first, int second)
    {
        public float Sum() => first.Of(second);
    }

    /// <summary>One fault each.</summary>
    private static class Faulty
    {
        public static float Throws(float x) => x > 0f ? x : throw new ArgumentException("x");

        public static int UsesMath(int x) => Math.Clamp(x, 0, 3);

        public static float UsesMathF(float x) => MathF.FusedMultiplyAdd(x, x, x);

        public static int UsesSpan(int[] x) => x.AsSpan().Length;

        public static string UsesString() => "text";

        public static object MakesAClass() => new();

        public static float BoolToFloat(int x, int y)
        {
            int isLess = x < y ? 1 : 0;
            return x > y ? 1
                : isLess == 0 ? x
                : (float)(x == y ? 1 : 0);
        }

        public static int DividesByAConstant(int x) => x / 4;

        public static double UsesDouble(float x) => x;

        public static void CopiesHalf(ILGPU.ArrayView<Half> x) => x[0] = x[1];

        public static float CallsAFaultyMethod(float x) => Throws(x);
    }
}
