using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU.Runtime;

namespace ILGPU.Runtime
{
    /// <summary>Memory of the checker's device. New memory holds garbage: NaN as floats, -1 as integers.</summary>
    internal sealed unsafe class MemoryBuffer : IDisposable
    {
        /// <param name="bytes">Its size.</param>
        /// <param name="accelerator">Whose memory it is; null for shared memory.</param>
        public MemoryBuffer(long bytes, Accelerator? accelerator = null)
        {
            Accelerator = accelerator;
            LengthInBytes = bytes;
            Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 16), 16);
            FillWithGarbage();
        }

        ~MemoryBuffer() => Free();

        public long LengthInBytes { get; }

        public Accelerator? Accelerator { get; }

        internal byte* Pointer { get; private set; }

        public void Dispose()
        {
            if (Accelerator is { IsBusy: true })
            {
                throw new InvalidOperationException(
                    "Memory is freed that kernels may still be using: the host has not waited since the last was started."
                );
            }

            Free();
            GC.SuppressFinalize(this);
        }

        internal void FillWithGarbage() => NativeMemory.Fill(Pointer, (nuint)LengthInBytes, 0xFF);

        private void Free()
        {
            NativeMemory.AlignedFree(Pointer);
            Pointer = null;
        }
    }

    /// <summary>Host memory that does not move, for copies that go on while the host does.</summary>
    internal sealed class PageLockedArray1D<T>(long length) : IDisposable
        where T : unmanaged
    {
        private readonly T[] _values = GC.AllocateUninitializedArray<T>((int)length, pinned: true);

        public Span<T> Span => _values;

        public void Dispose() { }
    }

    internal static unsafe class ArrayViewExtensions
    {
        public static PageLockedArray1D<T> AllocatePageLocked1D<T>(this Accelerator accelerator, long length, bool uninitialized)
            where T : unmanaged => new(length);

        /// <summary>Waits.</summary>
        public static void CopyToCPU<T>(this ArrayView<T> source, in Span<T> target)
            where T : unmanaged
        {
            source.Accelerator.Launches++;
            source.Values(target.Length).CopyTo(target);
            source.Accelerator.Synchronize();
        }

        /// <summary>Waits.</summary>
        public static void CopyFromCPU<T>(this ArrayView<T> target, in ReadOnlySpan<T> source)
            where T : unmanaged
        {
            target.Accelerator.Launches++;
            source.CopyTo(target.Values(source.Length));
            target.Accelerator.Synchronize();
        }

        /// <summary>Does not wait: the source must stay as it is until the host next does.</summary>
        public static void CopyFromCPUUnsafeAsync<T>(this ArrayView<T> target, ref T source, long length)
            where T : unmanaged
        {
            var pinned = new ReadOnlySpan<T>(Unsafe.AsPointer(ref source), (int)length);
            target.Accelerator.Launches++;
            pinned.CopyTo(target.Values(pinned.Length));
            target.Accelerator.OnTheWay.Add(((nint)Unsafe.AsPointer(ref source), MemoryMarshal.AsBytes(pinned).ToArray()));
        }

        public static void CopyTo<T>(this ArrayView<T> source, ArrayView<T> target)
            where T : unmanaged
        {
            source.Accelerator.Launches++;
            source.Values((int)target.Length).CopyTo(target.Values((int)target.Length));
        }

        public static void MemSetToZero<T>(this ArrayView<T> target)
            where T : unmanaged
        {
            target.Accelerator.Launches++;
            target.Values((int)target.Length).Clear();
        }
    }
}

namespace ILGPU
{
    /// <summary>A run of elements in a buffer; every access is checked against its ends.</summary>
    internal readonly unsafe struct ArrayView<T>
        where T : unmanaged
    {
        private readonly MemoryBuffer _buffer;
        private readonly long _byteOffset;

        /// <param name="buffer">Null for a view that is only measured.</param>
        public ArrayView(MemoryBuffer? buffer, long index, long length)
            : this(buffer!, index * sizeof(T), length, buffer?.LengthInBytes ?? long.MaxValue) { }

        private ArrayView(MemoryBuffer buffer, long byteOffset, long length, long byteEnd)
        {
            _buffer = buffer;
            _byteOffset = byteOffset;
            Length = length;
            if (byteOffset < 0 || length < 0 || byteOffset + (length * sizeof(T)) > byteEnd)
            {
                throw new IndexOutOfRangeException($"A view of {length} elements does not fit{GroupRun.Where}.");
            }
        }

        public long Length { get; }

        internal Accelerator Accelerator =>
            _buffer.Accelerator ?? throw new InvalidOperationException("The host has no part in shared memory.");

        public ref T this[int index]
        {
            get
            {
                if ((uint)index >= (ulong)Length)
                {
                    Fail(index);
                }

                byte* pointer = _buffer.Pointer;
                if (pointer == null)
                {
                    throw new ObjectDisposedException($"Memory that was freed is used{GroupRun.Where}.");
                }

                return ref Unsafe.AsRef<T>(pointer + _byteOffset + ((long)index * sizeof(T)));
            }
        }

        public ArrayView<T> SubView(long index, long length) =>
            new(_buffer, _byteOffset + (index * sizeof(T)), length, _byteOffset + (Length * sizeof(T)));

        public ArrayView<TOther> Cast<TOther>()
            where TOther : unmanaged
        {
            if (_byteOffset % sizeof(TOther) != 0)
            {
                throw new InvalidOperationException($"A view is cast to {typeof(TOther).Name} at an unaligned place{GroupRun.Where}.");
            }

            return new(_buffer, _byteOffset / sizeof(TOther), Length * sizeof(T) / sizeof(TOther));
        }

        internal Span<T> Values(int length) =>
            length == 0 ? default : new(Unsafe.AsPointer(ref this[0]), length <= Length ? length : throw Outside(length));

        private void Fail(int index) => throw Outside(index);

        private IndexOutOfRangeException Outside(int index) =>
            new($"Index {index} is outside a view of {Length} elements{GroupRun.Where}.");
    }
}
