using ILGPU;
using ILGPU.Algorithms;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>GELU(x) = x * Phi(x), derivative Phi(x) + x * phi(x), with the exact normal distribution; and ReLU.</summary>
internal static class Activation
{
    private const float InverseSqrt2 = 0.70710678118654752f;
    private const float InverseSqrt2Pi = 0.39894228040143268f;

    /// <summary>Overwrites output [B,T,C], which may be the input; AbsTopK of the output may take it on.</summary>
    public static void Forward(GpuDevice device, ActivationKind kind, GpuActivations input, GpuActivations output) =>
        device.Hold(new HeldForward(input, output, GeluOf(kind)));

    /// <summary>In place: gradient [B,T,C] *= f'(input).</summary>
    public static void Backward(GpuDevice device, ActivationKind kind, GpuActivations input, GpuActivations gradient)
    {
        ArrayView<byte> all = device.Workspace<byte>("no choice", 1);
        GpuSelection? chosen = AbsTopK.TakeBackward(device, masked => masked == gradient);
        int channels = GpuActivations.EntriesOfRow(input, gradient);
        device.LaunchForEach(
            input.Length,
            new BackwardKernel(
                input.View,
                input.Stride,
                chosen?.View ?? all,
                chosen is null ? 0 : 1,
                gradient.View,
                gradient.Stride,
                channels,
                input.Length,
                GeluOf(kind)
            )
        );
    }

    /// <summary>In a kernel: GELU or ReLU.</summary>
    public static float Of(float x, int gelu)
    {
        float relu = x <= 0f ? 0f : x; // NaN stays NaN
        return gelu != 0 ? x * NormalDistribution(x) : relu;
    }

    private static int GeluOf(ActivationKind kind) => kind == ActivationKind.Gelu ? 1 : 0;

    /// <summary>
    /// The error function by the polynomials of the CPU engine: below 1 in magnitude x * P(x^2), above it 1 - exp(Q(|x|)); within 1.2e-7
    /// absolutely, and with a device's approximate exp within 5e-7.
    /// </summary>
    private static float Erf(float x)
    {
        float magnitude = x < 0f ? -x : x;
        if (magnitude < 1f)
        {
            float square = x * x;
            float p = -9.667044650996104e-06f;
            p = (p * square) + 0.00011265958892181516f;
            p = (p * square) - 0.0008484080317430198f;
            p = (p * square) + 0.005221031606197357f;
            p = (p * square) - 0.026865430176258087f;
            p = (p * square) + 0.11283782124519348f;
            p = (p * square) - 0.37612637877464294f;
            p = (p * square) + 1.128379225730896f;
            return p * x;
        }

        // Beyond 4 the nearest float is 1; NaN takes this branch and stays NaN.
        float y = magnitude > 4f ? 4f : magnitude;
        float q = 1.6371513993362896e-06f;
        q = (q * y) - 4.605804133461788e-05f;
        q = (q * y) + 0.0005968056502752006f;
        q = (q * y) - 0.004759596195071936f;
        q = (q * y) + 0.026421135291457176f;
        q = (q * y) - 0.11008008569478989f;
        q = (q * y) - 0.6318260431289673f;
        q = (q * y) - 1.1302334070205688f;
        q = (q * y) + 0.0003201380604878068f;
        float value = 1f - XMath.Exp(q);
        return x < 0f ? -value : value;
    }

    private static float NormalDistribution(float x) => (0.5f * Erf(x * InverseSqrt2)) + 0.5f;

    internal readonly struct ForwardKernel(
        ArrayView<float> input,
        int inputStride,
        ArrayView<float> output,
        int outputStride,
        int channels,
        int length,
        int gelu
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                output[(row * outputStride) + channel] = Of(input[(row * inputStride) + channel], gelu);
            }
        }
    }

    internal readonly struct BackwardKernel(
        ArrayView<float> input,
        int inputStride,
        ArrayView<byte> selection,
        int isSelected,
        ArrayView<float> gradient,
        int gradientStride,
        int channels,
        int length,
        int gelu
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                int at = (row * gradientStride) + channel;
                float x = input[(row * inputStride) + channel];
                float incoming = gradient[at];
                if (isSelected != 0 && selection[i] == 0)
                {
                    incoming = 0f; // AbsTopK's backward, taken on
                }

                if (gelu != 0)
                {
                    float density = InverseSqrt2Pi * XMath.Exp(-0.5f * x * x);
                    gradient[at] = incoming * (NormalDistribution(x) + (x * density));
                }
                else
                {
                    gradient[at] = x > 0f ? incoming : 0f;
                }
            }
        }
    }

    /// <summary>Forward, put off.</summary>
    internal sealed record HeldForward(GpuActivations Input, GpuActivations Output, int Gelu) : IHeldLaunch
    {
        public void Launch(GpuDevice device)
        {
            int channels = GpuActivations.EntriesOfRow(Input, Output);
            device.LaunchForEach(
                Input.Length,
                new ForwardKernel(Input.View, Input.Stride, Output.View, Output.Stride, channels, Input.Length, Gelu)
            );
        }
    }
}
