using System.IO.MemoryMappedFiles;

namespace Sparsity.Core.Files;

/// <summary>A file mapped into memory for reading: its bytes are paged in as they are looked at and take no managed memory.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _mapping;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _start;

    /// <exception cref="BadInputException">The file is missing, not readable, or a Git LFS pointer.</exception>
    public MappedFile(string path)
    {
        Path = path;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1);
            Length = stream.Length;
            if (Length > 0)
            {
                // An empty file cannot be mapped.
                _mapping = MemoryMappedFile.CreateFromFile(
                    stream,
                    null,
                    0,
                    MemoryMappedFileAccess.Read,
                    HandleInheritability.None,
                    leaveOpen: true
                );
                _view = _mapping.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
                _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
                _start += _view.PointerOffset;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            Dispose();
            throw new BadInputException($"{path}: cannot be read ({e.Message.ReplaceLineEndings(" ")}). Check the path.", e);
        }

        try
        {
            GitLfsPointer.Refuse(path, Span<byte>(0, (int)Math.Min(Length, GitLfsPointer.Length)));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    /// <summary>In bytes.</summary>
    public long Length { get; }

    /// <summary>The numbers from byte <paramref name="offset"/> on, which need not be aligned; valid until the file is disposed.</summary>
    public ReadOnlySpan<T> Span<T>(long offset, int count)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + ((long)count * sizeof(T)), Length);
        ObjectDisposedException.ThrowIf(_start is null && Length > 0, this);
        return new ReadOnlySpan<T>(_start + offset, count);
    }

    public void Dispose()
    {
        if (_start is not null)
        {
            _start = null;
            _view!.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        _view?.Dispose();
        _mapping?.Dispose();
    }
}
