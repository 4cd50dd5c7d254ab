using System.Collections.Concurrent;

namespace ILGPU;

/// <summary>An operating system thread that threads of kernels run on; kept for later groups.</summary>
internal sealed class GroupThread
{
    private static readonly ConcurrentBag<GroupThread> Idle = [];

    private readonly AutoResetEvent _turn = new(false);
    private GroupRun? _run;

    [field: ThreadStatic]
    public static GroupThread Mine
    {
        get => field ??= new GroupThread();
        private set;
    }

    public static GroupThread Rent()
    {
        if (Idle.TryTake(out GroupThread? idle))
        {
            return idle;
        }

        var created = new GroupThread();
        new Thread(created.Loop, 256 * 1024) { IsBackground = true, Name = "kernel thread" }.Start();
        return created;
    }

    /// <summary>Takes turns of a group's threads.</summary>
    public void Start(GroupRun run)
    {
        _run = run;
        GiveTurn();
    }

    public void GiveTurn() => _turn.Set();

    public void WaitForTurn() => _turn.WaitOne();

    private void Loop()
    {
        Mine = this;
        KernelProcessor.Enter();
        while (true)
        {
            WaitForTurn();
            _run!.TakeTurns();
            Idle.Add(this);
        }
    }
}
