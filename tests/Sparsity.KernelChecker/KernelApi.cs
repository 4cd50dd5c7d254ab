using System.Runtime.CompilerServices;

namespace ILGPU
{
    /// <summary>The position of the running thread in its group.</summary>
    internal static class Group
    {
        public static int IdxX => GroupRun.Current.Thread;

        public static int DimX => GroupRun.Current.Run.Threads;

        /// <param name="line">Filled in by the compiler: threads that wait at different barriers are an error.</param>
        public static void Barrier([CallerLineNumber] int line = 0) => GroupRun.Current.Run.Barrier(line);
    }

    /// <summary>The position of the running group in the grid.</summary>
    internal static class Grid
    {
        public static int IdxX => GroupRun.Current.Run.GridX;

        public static int IdxY => GroupRun.Current.Run.GridY;
    }

    internal static class SharedMemory
    {
        public static ArrayView<T> Allocate<T>(int length)
            where T : unmanaged => GroupRun.Current.Run.Shared<T>(length);
    }

    internal static class Interop
    {
        public static uint FloatAsInt(float value) => BitConverter.SingleToUInt32Bits(value);

        public static float IntAsFloat(uint value) => BitConverter.UInt32BitsToSingle(value);
    }

    internal static class AlgorithmContext
    {
        public static Context.Builder EnableAlgorithms(this Context.Builder builder) => builder;
    }
}

namespace ILGPU.Algorithms
{
    internal static class XMath
    {
        public static float Exp(float x) => MathF.Exp(x);

        public static float Log(float x) => MathF.Log(x);

        public static float Sqrt(float x) => MathF.Sqrt(x);
    }
}

namespace ILGPU.Runtime.Cuda
{
    /// <summary>NVIDIA's own instructions (<see cref="TensorInstructions"/>).</summary>
    internal static class CudaAsm
    {
        public static void EmitRef(
            string instruction,
            ref Ref<float> first,
            ref Ref<float> second,
            ref Ref<float> third,
            ref Ref<float> fourth,
            ref Input<uint> fifth,
            ref Input<uint> sixth,
            ref Input<uint> seventh,
            ref Input<uint> eighth,
            ref Input<uint> ninth,
            ref Input<uint> tenth
        )
        {
            Span<float> sums = [first.Value, second.Value, third.Value, fourth.Value];
            TensorInstructions.Multiply(
                instruction,
                sums,
                [fifth.Value, sixth.Value, seventh.Value, eighth.Value],
                [ninth.Value, tenth.Value]
            );
            (first, second, third, fourth) = (sums[0], sums[1], sums[2], sums[3]);
        }

        public static void EmitRef(string instruction, ref Ref<uint> word, ref Input<float> first, ref Input<float> second) =>
            word = TensorInstructions.Convert(instruction, first.Value, second.Value);
    }

    internal readonly record struct Input<T>(T Value)
        where T : unmanaged
    {
        public static implicit operator Input<T>(T value) => new(value);
    }

    internal readonly record struct Ref<T>(T Value)
        where T : unmanaged
    {
        public static implicit operator Ref<T>(T value) => new(value);
    }
}
