using Samples;

switch (args)
{
    case ["read-activations", var folder]:
        ReadActivations.Show(folder, Console.Out);
        return 0;
    case ["intervene", var folder]:
        Intervene.Show(folder, Console.Out);
        return 0;
    case ["train", var folder]:
        Train.Show(folder, tokens: 500_000, Console.Out);
        return 0;
    case ["prune", var folder, var task]:
        Prune.Show(folder, task, Console.Out);
        return 0;
    default:
        Console.Error.WriteLine("Give read-activations MODEL, intervene MODEL, train FOLDER, or prune RUN TASK.");
        return 2;
}
