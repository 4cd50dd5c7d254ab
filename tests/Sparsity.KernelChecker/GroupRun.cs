using ILGPU.Runtime;

namespace ILGPU;

/// <summary>
/// In which order the threads of a group, and the groups of a grid, take their turns: where a barrier is missing, results depend on it.
/// </summary>
internal enum ThreadOrder
{
    Forward,
    Backward,
    Shuffled,
}

/// <summary>The running thread of a kernel.</summary>
internal sealed class ThreadTurn(GroupRun run, int thread)
{
    public GroupRun Run { get; } = run;

    public int Thread { get; } = thread;

    /// <summary>How many arrays of shared memory it has asked for: the i-th call of every thread gives the same array.</summary>
    public int SharedArrays { get; set; }
}

/// <summary>
/// Runs the threads of one group in turns: one at a time, each up to the next barrier or its end. A thread that waits at a barrier keeps an
/// operating system thread; those that meet none share one. Every access to memory is checked, shared memory begins as garbage, and a
/// barrier that only some threads reach is an error.
/// </summary>
internal sealed class GroupRun : IDisposable
{
    private readonly Action _kernel;
    private readonly string _name;
    private readonly ThreadOrder _order;
    private readonly List<MemoryBuffer> _shared = [];
    private readonly Queue<(ThreadTurn Turn, GroupThread? Waiting)> _ready = new();
    private readonly List<(ThreadTurn Turn, GroupThread Waiting, int Line)> _waiting = [];
    private readonly ManualResetEventSlim _ended = new(false, spinCount: 0);
    private int _finished;
    private int _phase;
    private Exception? _failure;

    private GroupRun(Action kernel, string name, KernelConfig config, ThreadOrder order, int gridX, int gridY)
    {
        _kernel = kernel;
        _name = name;
        _order = order;
        Threads = config.GroupDimX;
        GridX = gridX;
        GridY = gridY;
        foreach (int thread in Permuted(Threads, order, _phase))
        {
            _ready.Enqueue((new ThreadTurn(this, thread), null));
        }
    }

    [ThreadStatic]
    private static ThreadTurn? current;

    public static ThreadTurn Current =>
        current ?? throw new InvalidOperationException("Members of ILGPU's device side can be used inside a kernel only.");

    /// <summary>For messages: the kernel, group and thread that run now; empty outside kernels.</summary>
    public static string Where =>
        current is { Run: var run } ? $" in {run._name}, group ({run.GridX}, {run.GridY}), thread {current.Thread} of {run.Threads}" : "";

    public int Threads { get; }

    /// <summary>What its threads do together.</summary>
    public TensorInstructions Tensor => field ??= new TensorInstructions(Threads);

    public int GridX { get; }

    public int GridY { get; }

    /// <summary>Runs all groups of a grid, one after the other.</summary>
    public static void Grid(Action kernel, string name, KernelConfig config, ThreadOrder order)
    {
        if (config is not { GridDimX: > 0, GridDimY: > 0, GridDimZ: 1, GroupDimX: > 0 and <= 1024, GroupDimY: 1, GroupDimZ: 1 })
        {
            throw new ArgumentOutOfRangeException(nameof(config), $"{name}: cannot be launched as {config}.");
        }

        KernelProcessor.Enter();
        try
        {
            foreach (int group in Permuted(config.GridDimX * config.GridDimY, order, 1))
            {
                using var run = new GroupRun(kernel, name, config, order, group % config.GridDimX, group / config.GridDimX);
                run.ToTheEnd();
            }
        }
        finally
        {
            KernelProcessor.Leave();
        }
    }

    public void Barrier(int line)
    {
        if (Threads == 1)
        {
            return;
        }

        ThreadTurn turn = Current;
        GroupThread mine = GroupThread.Mine;
        _waiting.Add((turn, mine, line));
        if (_ready.Count == 0)
        {
            EndPhase();
        }

        if (_failure is null && _ready.Peek().Waiting == mine)
        {
            _ready.Dequeue();
        }
        else
        {
            PassOn();
            mine.WaitForTurn();
        }

        if (_failure is not null)
        {
            throw new TurnEndedException();
        }

        current = turn;
    }

    public ArrayView<T> Shared<T>(int length)
        where T : unmanaged
    {
        int number = Current.SharedArrays++;
        if (number == _shared.Count)
        {
            _shared.Add(new MemoryBuffer((long)length * System.Runtime.CompilerServices.Unsafe.SizeOf<T>()));
        }

        return new ArrayView<T>(_shared[number], 0, length);
    }

    public void Dispose()
    {
        _shared.ForEach(buffer => buffer.Dispose());
        _ended.Dispose();
    }

    /// <summary>
    /// Takes turns of threads that have not begun, until one of them waits or none is left; called on a thread whose turn it is.
    /// </summary>
    internal void TakeTurns()
    {
        while (_failure is null && _ready.TryPeek(out (ThreadTurn Turn, GroupThread? Waiting) next) && next.Waiting is null)
        {
            _ready.Dequeue();
            current = next.Turn;
            try
            {
                _kernel();
                _finished++;
            }
            catch (TurnEndedException)
            {
                // Another thread has failed; this one waited at a barrier.
            }
            catch (Exception exception)
            {
                _failure ??= exception;
            }
            finally
            {
                current = null;
            }

            if (_failure is null && _ready.Count == 0)
            {
                EndPhase();
            }
        }

        PassOn();
    }

    private static int[] Permuted(int count, ThreadOrder order, int seed)
    {
        int[] numbers = [.. Enumerable.Range(0, count)];
        switch (order)
        {
            case ThreadOrder.Backward:
                Array.Reverse(numbers);
                break;
            case ThreadOrder.Shuffled:
                new Random(seed + count).Shuffle(numbers);
                break;
        }

        return numbers;
    }

    private void ToTheEnd()
    {
        TakeTurns();
        _ended.Wait();

        if (_failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
        }
    }

    /// <summary>All threads have run up to a barrier or their end: those that wait may go on if all do, and at the same barrier.</summary>
    private void EndPhase()
    {
        if (_waiting.Count == 0)
        {
            return;
        }

        if (_waiting.Count < Threads || _waiting.Any(thread => thread.Line != _waiting[0].Line))
        {
            _failure = new InvalidOperationException(
                $"Divergent barrier in {_name}, group ({GridX}, {GridY}): of {Threads} threads, {_finished} ended and "
                    + string.Join(" and ", _waiting.GroupBy(thread => thread.Line).Select(at => $"{at.Count()} wait at line {at.Key}"))
                    + "."
            );
            return;
        }

        // The thread that came last goes first: it need not be woken.
        (ThreadTurn Turn, GroupThread Waiting, int Line) last = _waiting[^1];
        _ready.Enqueue((last.Turn, last.Waiting));
        _waiting.Sort((a, b) => a.Turn.Thread.CompareTo(b.Turn.Thread));
        foreach (int i in Permuted(Threads, _order, ++_phase))
        {
            if (_waiting[i].Waiting != last.Waiting)
            {
                _ready.Enqueue((_waiting[i].Turn, _waiting[i].Waiting));
            }
        }

        _waiting.Clear();
    }

    /// <summary>
    /// Gives the turn to the next thread that is ready, which may be the caller itself; ends the group when there is none.
    /// </summary>
    private void PassOn()
    {
        if (_failure is null && _ready.Count == 0)
        {
            EndPhase();
        }

        if (_failure is not null)
        {
            // Wake one that waits: it unwinds and wakes the next.
            if (_waiting.Count + _ready.Count(thread => thread.Waiting is not null) == 0)
            {
                _ended.Set();
                return;
            }

            GroupThread? waiting = null;
            if (_waiting.Count > 0)
            {
                waiting = _waiting[^1].Waiting;
                _waiting.RemoveAt(_waiting.Count - 1);
            }

            while (waiting is null)
            {
                waiting = _ready.Dequeue().Waiting;
            }

            waiting.GiveTurn();
            return;
        }

        if (!_ready.TryPeek(out (ThreadTurn Turn, GroupThread? Waiting) next))
        {
            _ended.Set();
            return;
        }

        if (next.Waiting is null)
        {
            GroupThread.Rent().Start(this);
            return;
        }

        _ready.Dequeue();
        next.Waiting.GiveTurn();
    }

    /// <summary>Ends a thread that waits at a barrier after another has failed.</summary>
    private sealed class TurnEndedException : Exception;
}
