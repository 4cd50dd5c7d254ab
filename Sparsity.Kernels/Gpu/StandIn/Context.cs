namespace ILGPU;

/// <summary>Marks the in-tree stand-in: compiled only when the configured package sources have no ILGPU.</summary>
internal abstract class Context;
