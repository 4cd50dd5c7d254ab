using System.Globalization;
using Sparsity.Faults;

// What the program must survive, tried out. Results do not depend on the machine, but for the moments at which processes are killed.
string[] kinds = ["kills", "ranks", "faults", "mutations", "growth"];
if (
    args.Length is not (2 or 3)
    || !kinds.Contains(args[0])
    || !int.TryParse(args[1], NumberStyles.None, CultureInfo.InvariantCulture, out int count)
    || !ulong.TryParse(args.ElementAtOrDefault(2) ?? "1", NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
)
{
    Console.Error.WriteLine(
        "usage: Sparsity.Faults kills N | ranks N | faults N | mutations N | growth STEPS [SEED]\n"
            + "  kills      kill -9 of train, prune and bridge train at N random moments (and a fifth as many SIGTERMs and double "
            + "Ctrl-Cs), resumed and compared bit for bit\n"
            + "  ranks      kill -9 of one rank of training under mpirun at N random moments, under each MPI that is installed, "
            + "resumed with 2 or 4 ranks and compared bit for bit\n"
            + "  faults     N failures of the file layer in training and bridge training, resumed and compared bit for bit\n"
            + "  mutations  N damaged files over all readers: read, or refused as bad input\n"
            + "  growth     memory over so many training steps"
    );
    return 2;
}

try
{
    Console.WriteLine(
        args[0] switch
        {
            "kills" => new Kills(seed).Run(count),
            "ranks" => new RankKills(seed).Run(count),
            "faults" => new FileFaults(seed).Run(count),
            "mutations" => Mutations.RunAll(count, seed),
            _ => Growth.Run(count),
        }
    );
    return 0;
}
catch (FaultFoundException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
