using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>GELU(x) = x * Phi(x), derivative Phi(x) + x * phi(x), with the exact normal distribution; and ReLU.</summary>
internal static unsafe class Activation
{
    private const float InverseSqrt2Pi = 0.39894228040143268f;

    /// <summary>Overwrites output [B,T,C], which may be the input.</summary>
    public static void Forward(WorkerPool pool, ActivationKind kind, CpuActivations input, CpuActivations output)
    {
        if (input.IsSingleToken)
        {
            SingleToken.ActivationForward(kind, input, output);
            return;
        }

        pool.Run(input.Tiles, new ForwardJob(kind, input, output));
    }

    /// <summary>In place: gradient [B,T,C] *= f'(input).</summary>
    public static void Backward(WorkerPool pool, ActivationKind kind, CpuActivations input, CpuActivations gradient) =>
        pool.Run(input.Tiles, new BackwardJob(kind, input, gradient));

    /// <summary>Overwrites kept with the derivative at input [B,T,C], where selection, if given, kept the output.</summary>
    public static void Keep(
        WorkerPool pool,
        ActivationKind kind,
        CpuActivations input,
        CpuSelection? selection,
        CpuSavedForBackward kept
    ) => pool.Run(input.Tiles, new KeepJob(kind, input, selection, kept));

    /// <summary>In place: gradient [B,T,C] *= what <see cref="Keep"/> kept, 0 elsewhere.</summary>
    public static void Backward(WorkerPool pool, CpuSavedForBackward derivatives, CpuActivations gradient) =>
        pool.Run(gradient.Tiles, new KeptBackwardJob(derivatives, gradient));

    internal static Vector512<float> Value(ActivationKind kind, Vector512<float> x) =>
        kind == ActivationKind.Gelu
            ? x * NormalDistribution(x, out _)
            : Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, Vector512<float>.Zero), Vector512<float>.Zero, x); // NaN stays NaN

    private static Vector512<float> Derivative(ActivationKind kind, Vector512<float> x)
    {
        if (kind == ActivationKind.Relu)
        {
            return Vector512<float>.One & Vector512.GreaterThan(x, Vector512<float>.Zero);
        }

        Vector512<float> distribution = NormalDistribution(x, out Vector512<float> bell);
        return Vector512.MultiplyAddEstimate(x * Vector512.Create(InverseSqrt2Pi), bell, distribution);
    }

    /// <summary>
    /// Phi(x), within 1.7e-7 absolutely, and exp(-x^2 / 2), which both it and the density are made of: Phi(-|x|) = exp(-x^2 / 2) * t * P(t)
    /// with t = 1 / (1 + 0.35 |x|) (the form of Abramowitz and Stegun's 26.2.17), P being fitted to 4e-8 for |x| up to 13.3.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> NormalDistribution(Vector512<float> x, out Vector512<float> bell)
    {
        bell = VectorMath.Exp(Vector512.Create(-0.5f) * x * x);
        Vector512<float> t =
            Vector512<float>.One / Vector512.MultiplyAddEstimate(Vector512.Abs(x), Vector512.Create(0.35f), Vector512<float>.One);
        Vector512<float> p = Vector512.MultiplyAddEstimate(
            Vector512.Create(0.04464900866150856f),
            t,
            Vector512.Create(-0.18455250561237335f)
        );
        p = Vector512.MultiplyAddEstimate(p, t, Vector512.Create(0.21125945448875427f));
        p = Vector512.MultiplyAddEstimate(p, t, Vector512.Create(0.008803281001746655f));
        p = Vector512.MultiplyAddEstimate(p, t, Vector512.Create(0.1431991308927536f));
        p = Vector512.MultiplyAddEstimate(p, t, Vector512.Create(0.13686493039131165f));
        p = Vector512.MultiplyAddEstimate(p, t, Vector512.Create(0.13977673649787903f));
        Vector512<float> tail = p * t * bell;
        return Vector512.ConditionalSelect(Vector512.GreaterThan(x, Vector512<float>.Zero), Vector512<float>.One - tail, tail);
    }

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
                (Vector512.Load(g + i) * Derivative(kind, Vector512.Load(x + i))).Store(g + i);
            }
        }
    }

    /// <summary>
    /// Keeps only the derivative for the way back, and only where it is asked for: a quarter of the exponentials behind AbsTopK.
    /// </summary>
    private readonly struct KeepJob(ActivationKind kind, CpuActivations input, CpuSelection? selection, CpuSavedForBackward kept)
        : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            float* x = input.Lanes(tile, 0);
            ulong* chosen = selection is null ? null : selection.Words(tile);
            ulong* words = kept.Words(tile);
            float* first = kept.Values(tile);
            float* place = first;
            int width = input.Width;
            int channels = input.Channels;
            for (int channel = 0; channel < channels; channel++, x += width)
            {
                ulong word = chosen == null ? ulong.MaxValue : chosen[channel];
                words[channel] = word;
                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    place += BitOperations.PopCount(LanePacking.Pack(Vector512.Load(x + lane), AbsTopK.LaneMask(word >> lane), place));
                }
            }

            for (float* next = first; next < place; next += CpuActivations.VectorLanes)
            {
                Derivative(kind, Vector512.Load(next)).Store(next);
            }
        }
    }

    private readonly struct KeptBackwardJob(CpuSavedForBackward derivatives, CpuActivations gradient) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong* words = derivatives.Words(tile);
            float* place = derivatives.Values(tile);
            float* g = gradient.Lanes(tile, 0);
            int width = gradient.Width;
            int channels = gradient.Channels;
            for (int channel = 0; channel < channels; channel++, g += width)
            {
                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    var bits = (uint)(words[channel] >> lane) & 0xFFFF;
                    (Vector512.Load(g + lane) * LanePacking.Unpack(place, bits)).Store(g + lane);
                    place += BitOperations.PopCount(bits);
                }
            }
        }
    }
}
