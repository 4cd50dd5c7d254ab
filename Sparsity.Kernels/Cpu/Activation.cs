using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>GELU(x) = x * Phi(x), derivative Phi(x) + x * phi(x), with the exact normal distribution; and ReLU.</summary>
internal static unsafe class Activation
{
    private const float InverseSqrt2 = 0.70710678118654752f;
    private const float InverseSqrt2Pi = 0.39894228040143268f;

    /// <summary>Overwrites output [B,T,C], which may be the input.</summary>
    public static void Forward(WorkerPool pool, ActivationKind kind, CpuActivations input, CpuActivations output)
    {
        if (SingleToken.Is(input))
        {
            SingleToken.ActivationForward(pool, kind, input, output);
            return;
        }

        pool.Run(input.Tiles, new ForwardJob(kind, input, output));
    }

    /// <summary>In place: gradient [B,T,C] *= f'(input).</summary>
    public static void Backward(WorkerPool pool, ActivationKind kind, CpuActivations input, CpuActivations gradient) =>
        pool.Run(input.Tiles, new BackwardJob(kind, input, gradient));

    internal static Vector512<float> Value(ActivationKind kind, Vector512<float> x) => kind == ActivationKind.Gelu
        ? x * NormalDistribution(x)
        : Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, Vector512<float>.Zero), Vector512<float>.Zero, x); // NaN stays NaN

    /// <summary>
    /// The error function, within 1.2e-7 absolutely. Below 1 in magnitude x * P(x^2), above it 1 - exp(Q(|x|)): polynomials interpolated at
    /// Chebyshev nodes of [0,1] and [1,4]; beyond 4 the float nearest to erf is 1.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Erf(Vector512<float> x)
    {
        Vector512<float> magnitude = Vector512.Min(Vector512.Abs(x), Vector512.Create(4f));
        Vector512<float> square = magnitude * magnitude;
        Vector512<float> p = Vector512.Create(-9.667044650996104e-06f);
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(0.00011265958892181516f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(-0.0008484080317430198f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(0.005221031606197357f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(-0.026865430176258087f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(0.11283782124519348f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(-0.37612637877464294f));
        p = Vector512.MultiplyAddEstimate(p, square, Vector512.Create(1.128379225730896f));

        Vector512<float> q = Vector512.Create(1.6371513993362896e-06f);
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(-4.605804133461788e-05f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(0.0005968056502752006f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(-0.004759596195071936f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(0.026421135291457176f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(-0.11008008569478989f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(-0.6318260431289673f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(-1.1302334070205688f));
        q = Vector512.MultiplyAddEstimate(q, magnitude, Vector512.Create(0.0003201380604878068f));

        Vector512<float> value = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512<float>.One), p * magnitude, Vector512<float>.One - VectorMath.Exp(q));
        return value | (x & Vector512.Create(-0f)); // value is not negative
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> NormalDistribution(Vector512<float> x) => (Vector512.Create(0.5f) * Erf(x * Vector512.Create(InverseSqrt2))) + Vector512.Create(0.5f);

    private readonly struct ForwardJob(ActivationKind kind, CpuActivations input, CpuActivations output) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            float* x = input.Lanes(tile, 0);
            float* y = output.Lanes(tile, 0);
            int count = input.Channels * input.Width;
            for (int i = 0; i < count; i += CpuActivations.VectorLanes)
            {
                Value(kind, Vector512.Load(x + i)).Store(y + i);
            }
        }
    }

    private readonly struct BackwardJob(ActivationKind kind, CpuActivations input, CpuActivations gradient) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            float* x = input.Lanes(tile, 0);
            float* g = gradient.Lanes(tile, 0);
            int count = input.Channels * input.Width;
            for (int i = 0; i < count; i += CpuActivations.VectorLanes)
            {
                Vector512<float> value = Vector512.Load(x + i);
                Vector512<float> incoming = Vector512.Load(g + i);
                Vector512<float> result;
                if (kind == ActivationKind.Gelu)
                {
                    Vector512<float> density = Vector512.Create(InverseSqrt2Pi) * VectorMath.Exp(Vector512.Create(-0.5f) * value * value);
                    result = incoming * (NormalDistribution(value) + (value * density));
                }
                else
                {
                    result = incoming & Vector512.GreaterThan(value, Vector512<float>.Zero);
                }

                result.Store(g + i);
            }
        }
    }
}
