namespace Sparsity.Parity;

/// <summary>One of the results of an operation. Each is compared by itself: beside a sum of thousands a gradient would not count.</summary>
/// <param name="Name">What it is, for messages.</param>
/// <param name="Values">All of its numbers.</param>
internal sealed record ComputedTensor(string Name, float[] Values);
