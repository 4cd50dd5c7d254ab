namespace Sparsity.Core.Engine;

/// <summary>The normalisation before a sublayer (docs/method.md section 1).</summary>
public enum NormKind
{
    /// <summary>x / sqrt(mean(x^2) + 1.1920929e-7) * weight.</summary>
    RmsNorm,

    /// <summary>(x - mean(x)) / sqrt(var(x) + 1e-5) * weight + bias.</summary>
    LayerNorm,
}

/// <summary>The elementwise nonlinearity.</summary>
public enum ActivationKind
{
    /// <summary>x * Phi(x) with the exact normal distribution function (erf), not its tanh approximation.</summary>
    Gelu,

    /// <summary>max(x, 0); the derivative at 0 is 0.</summary>
    Relu,
}

/// <summary>The memory of a device, of which there is less than a machine has.</summary>
public interface IDeviceMemory
{
    /// <summary>Bytes there are.</summary>
    long TotalBytes { get; }

    /// <summary>Bytes of memory that nobody uses now, as far as the device can tell.</summary>
    long FreeBytes { get; }

    /// <summary>The most bytes that the engine had in use at a time.</summary>
    long PeakBytes { get; }

    /// <summary>
    /// An engine that takes the same memory in the same order, but only counts it in its <see cref="PeakBytes"/>: it has none, computes
    /// nothing, and zeros are read from it. A program that runs on it learns what it needs before a device has to hold it.
    /// </summary>
    IComputeEngine CreateCounter();
}

/// <summary>
/// The one seam between the method and the devices: memory, and every operation of the model with its backward. Letters as in the
/// specification: B sequences, T tokens, C channels, N = B*T. Each output is said to be overwritten or accumulated into.
/// Operations run in the order of the calls; results do not depend on the number of threads, and two runs agree bit for bit.
/// A tensor of activations may be given as a gradient if it was written as one, by <c>Write</c>, <c>Zero</c> or <c>Copy</c>: engines that
/// keep room beside the tokens keep zeros there in gradients, so that sums over tokens need not look at where they end.
/// </summary>
public interface IComputeEngine : IDisposable
{
    /// <summary>The engine in a word or two, such as "cpu".</summary>
    string Name { get; }

    /// <summary>The device, its vector width, its threads: one line for reports.</summary>
    string Description { get; }

    /// <summary>
    /// How many bytes the widest activation of a pass should have at most where a batch may be split: few enough for the processor's
    /// caches, or no limit.
    /// </summary>
    long PreferredActivationBytes { get; }

    /// <summary>The device's own memory; null where tensors lie in the machine's.</summary>
    IDeviceMemory? Memory { get; }

    // Memory. All of it is zero when allocated.

    WeightTensor AllocateWeights(string name, int rows, int columns);

    /// <summary>
    /// Several tensors for operations that go over all of them: on a device they lie one behind the other, and such an operation takes one
    /// launch.
    /// </summary>
    IReadOnlyList<WeightTensor> AllocateWeights(IReadOnlyList<(string Name, int Rows, int Columns)> tensors);

    /// <summary>A list for operations on many tensors; on a device it holds tables of where they lie.</summary>
    /// <param name="name">What they are, for messages.</param>
    /// <param name="tensors">Of this engine; they must outlive the list.</param>
    WeightList ListWeights(string name, IReadOnlyList<WeightTensor> tensors);

    ActivationTensor AllocateActivations(string name, int sequences, int tokens, int channels);

    /// <summary>Bits for the AbsTopK of activations of this shape.</summary>
    SelectionTensor AllocateSelection(string name, int sequences, int tokens, int channels);

    /// <summary>Contents undefined.</summary>
    SavedForBackward AllocateSavedForBackward(string name, int sequences, int tokens, int channels);

    ScalarTensor AllocateScalars(string name, int count);

    TokenTensor AllocateTokens(string name, int sequences, int tokens);

    /// <summary>Room for the keys and values [B,T,C] of the tokens that <see cref="CachedAttentionForward"/> has seen.</summary>
    KeyValueCache AllocateKeyValueCache(string name, int sequences, int tokens, int channels);

    void Write(WeightTensor target, ReadOnlySpan<float> values);

    void Read(WeightTensor source, Span<float> values);

    /// <summary>Reads several tensors, one behind the other; waits for the device once.</summary>
    void Read(IReadOnlyList<WeightTensor> sources, Span<float> values);

    /// <param name="target">Overwritten.</param>
    /// <param name="values">[B,T,C] in row-major order.</param>
    void Write(ActivationTensor target, ReadOnlySpan<float> values);

    /// <param name="source">[B,T,C].</param>
    /// <param name="values">Receives [B,T,C] in row-major order.</param>
    void Read(ActivationTensor source, Span<float> values);

    /// <param name="target">Overwritten.</param>
    /// <param name="values">[B,T] in row-major order.</param>
    void Write(TokenTensor target, ReadOnlySpan<int> values);

    /// <summary>Brings the numbers of all <paramref name="scalars"/> to the host; waits for the device once.</summary>
    void Fetch(params ReadOnlySpan<ScalarTensor> scalars);

    void Zero(WeightTensor target);

    void Zero(ActivationTensor target);

    /// <summary>[B,T,C]: overwrites <paramref name="target"/>, which may then be given as a gradient.</summary>
    void Copy(ActivationTensor source, ActivationTensor target);

    // The residual stream.

    /// <summary>[B,T,C]: overwrites <paramref name="sum"/> with a + b; it may be either of them.</summary>
    void Add(ActivationTensor a, ActivationTensor b, ActivationTensor sum);

    /// <summary>
    /// [B,T,D]: overwrites <paramref name="output"/> with the row of each token's embedding, plus, if there are position embeddings, row
    /// <paramref name="firstPosition"/> + t of those.
    /// </summary>
    void EmbeddingForward(
        TokenTensor tokens,
        WeightTensor tokenEmbedding,
        WeightTensor? positionEmbedding,
        ActivationTensor output,
        int firstPosition = 0
    );

    /// <summary>Accumulates the rows of <paramref name="outputGradient"/> [B,T,D] into the gradients of the embeddings.</summary>
    void EmbeddingBackward(
        TokenTensor tokens,
        ActivationTensor outputGradient,
        WeightTensor tokenEmbeddingGradient,
        WeightTensor? positionEmbeddingGradient
    );

    /// <summary>
    /// [B,T,C]: overwrites token t of every sequence with row <paramref name="firstPosition"/> + t of <paramref name="positionEmbedding"/>
    /// [block, C].
    /// </summary>
    void PositionForward(WeightTensor positionEmbedding, ActivationTensor output, int firstPosition = 0);

    /// <summary>
    /// Accumulates the sum over sequences of <paramref name="outputGradient"/> [B,T,C] into the position embedding's gradient.
    /// </summary>
    void PositionBackward(ActivationTensor outputGradient, WeightTensor positionEmbeddingGradient);

    // Norm.

    /// <summary>
    /// [B,T,C]: overwrites <paramref name="output"/>, and <paramref name="statistics"/> [B,T,2] with each token's mean (0 for RMSNorm) and
    /// reciprocal deviation.
    /// </summary>
    /// <param name="isScaleFrozen">The reciprocal deviations that stand in <paramref name="statistics"/> are taken in place of the input's
    /// own.</param>
    void NormForward(
        NormKind kind,
        ActivationTensor input,
        WeightTensor weight,
        WeightTensor? bias,
        ActivationTensor output,
        ActivationTensor statistics,
        bool isScaleFrozen = false
    );

    /// <summary>
    /// Accumulates into <paramref name="inputGradient"/> [B,T,C] and, where given, into the gradients of weight and bias.
    /// </summary>
    /// <param name="isScaleFrozen">As it was forward: a frozen scale is a constant.</param>
    void NormBackward(
        NormKind kind,
        ActivationTensor input,
        ActivationTensor statistics,
        WeightTensor weight,
        ActivationTensor outputGradient,
        ActivationTensor inputGradient,
        WeightTensor? weightGradient,
        WeightTensor? biasGradient,
        bool isScaleFrozen = false
    );

    // Linear: weight [O, I], bias [O].

    /// <summary>Overwrites <paramref name="output"/> [B,T,O] with input [B,T,I] * weight^T + bias.</summary>
    void LinearForward(ActivationTensor input, WeightTensor weight, WeightTensor? bias, ActivationTensor output);

    /// <summary>Overwrites <paramref name="inputGradient"/> [B,T,I] with outputGradient [B,T,O] * weight.</summary>
    void LinearBackwardInput(WeightTensor weight, ActivationTensor outputGradient, ActivationTensor inputGradient);

    /// <summary>Accumulates outputGradient^T * input into <paramref name="weightGradient"/> [O,I].</summary>
    void LinearBackwardWeight(ActivationTensor input, ActivationTensor outputGradient, WeightTensor weightGradient);

    /// <summary>
    /// Accumulates the sum over tokens of <paramref name="outputGradient"/> [B,T,O] into <paramref name="biasGradient"/> [O].
    /// </summary>
    void LinearBackwardBias(ActivationTensor outputGradient, WeightTensor biasGradient);

    // AbsTopK.

    /// <summary>
    /// [B,T,C], in place: per token, keeps the <paramref name="keep"/> entries of largest magnitude and zeroes the rest; ties go to the
    /// lower channel. Overwrites <paramref name="selection"/> with what was kept, exact zeros included.
    /// </summary>
    void AbsTopKForward(ActivationTensor values, int keep, SelectionTensor selection);

    /// <summary>[B,T,C], in place: zeroes the gradient of every entry that was not kept.</summary>
    void AbsTopKBackward(SelectionTensor selection, ActivationTensor gradient);

    // Nonlinearity.

    /// <summary>[B,T,C]: overwrites <paramref name="output"/>; it may be the input.</summary>
    void ActivationForward(ActivationKind kind, ActivationTensor input, ActivationTensor output);

    /// <summary>
    /// [B,T,C], in place: multiplies <paramref name="gradient"/> by the derivative at <paramref name="input"/> (for ReLU the output serves
    /// as well).
    /// </summary>
    void ActivationBackward(ActivationKind kind, ActivationTensor input, ActivationTensor gradient);

    /// <summary>
    /// Overwrites <paramref name="kept"/> with what the other
    /// <see cref="ActivationBackward(ActivationKind, SavedForBackward, ActivationTensor)"/> needs of <paramref name="input"/> [B,T,C],
    /// whose contents are undefined afterwards.
    /// </summary>
    /// <param name="kind">Of the activation.</param>
    /// <param name="input">Of the activation.</param>
    /// <param name="selection">Which outputs AbsTopK kept: the others send no gradient back. Null for all.</param>
    /// <param name="kept">As large as the input.</param>
    void SaveForActivationBackward(ActivationKind kind, ActivationTensor input, SelectionTensor? selection, SavedForBackward kept);

    /// <summary>
    /// [B,T,C], in place: multiplies <paramref name="gradient"/>, zero where AbsTopK kept nothing, by the derivative at the input kept.
    /// </summary>
    void ActivationBackward(ActivationKind kind, SavedForBackward input, ActivationTensor gradient);

    // Attention: H heads of Dh channels; causal; scale 1/sqrt(Dh).

    /// <summary>
    /// Overwrites <paramref name="output"/> [B,T,H*Dh] and <paramref name="logSumExp"/> [B,T,H], the logarithm of each softmax's
    /// denominator. <paramref name="sinkLogits"/> [H], if given, joins each denominator with a zero value vector (official SDPAWithSink).
    /// </summary>
    void AttentionForward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        ActivationTensor output,
        ActivationTensor logSumExp
    );

    /// <summary>
    /// Overwrites the gradients of query, key and value [B,T,H*Dh]; accumulates into <paramref name="sinkGradient"/> [H] where given.
    /// </summary>
    void AttentionBackward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        ActivationTensor output,
        ActivationTensor logSumExp,
        ActivationTensor outputGradient,
        ActivationTensor queryGradient,
        ActivationTensor keyGradient,
        ActivationTensor valueGradient,
        WeightTensor? sinkGradient
    );

    /// <summary>
    /// Attention of T new tokens to all before them and to themselves, for generation. First overwrites places <paramref name="position"/>
    /// .. <paramref name="position"/> + T - 1 of <paramref name="cache"/> with <paramref name="key"/> and <paramref name="value"/>
    /// [B,T,H*Dh]; then overwrites <paramref name="output"/> [B,T,H*Dh], token t attending to places 0 .. <paramref name="position"/> + t.
    /// There is no backward.
    /// </summary>
    /// <param name="position">0-based place of the first new token; the places before it must have been written, and position + T must not
    /// exceed the cache's tokens.</param>
    void CachedAttentionForward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        KeyValueCache cache,
        int position,
        ActivationTensor output
    );

    // Logits and loss.

    /// <summary>Adds to <paramref name="logits"/> [B,T,V] the row of <paramref name="table"/> [V,V] of each token.</summary>
    void BigramForward(TokenTensor tokens, WeightTensor table, ActivationTensor logits);

    /// <summary>
    /// Accumulates into <paramref name="tableGradient"/> [V,V]; its last row never receives any (padding index -1 of the official code).
    /// </summary>
    void BigramBackward(TokenTensor tokens, ActivationTensor logitsGradient, WeightTensor tableGradient);

    /// <summary>
    /// Overwrites <paramref name="losses"/> [B,T,1] with -log softmax(logits)[target], 0 where the target is negative, and, where given,
    /// <paramref name="logitsGradient"/> [B,T,V] (may be the logits) with <paramref name="gradientScale"/> * (softmax - onehot), 0 where
    /// the target is negative.
    /// </summary>
    void CrossEntropy(
        ActivationTensor logits,
        TokenTensor targets,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    );

    /// <summary>
    /// Overwrites entry <paramref name="index"/> of <paramref name="sums"/> with the sum of <paramref name="values"/> [B,T,1] over all
    /// tokens, in a fixed order.
    /// </summary>
    void Sum(ActivationTensor values, ScalarTensor sums, int index);

    /// <summary>
    /// Overwrites <paramref name="output"/> with the tokens of <paramref name="input"/> [B,T,C] at <paramref name="positions"/> [B,P]:
    /// [B,P,C], or the same tokens in the same order as sequences of another length, such as [1,B*P,C].
    /// </summary>
    void GatherTokens(ActivationTensor input, TokenTensor positions, ActivationTensor output);

    /// <summary>
    /// Overwrites <paramref name="inputGradient"/> [B,T,C]: the backward of <see cref="GatherTokens"/>; positions of one sequence must
    /// differ.
    /// </summary>
    void ScatterTokens(ActivationTensor outputGradient, TokenTensor positions, ActivationTensor inputGradient);

    // Bridges (docs/method.md section 5).

    /// <summary>
    /// Overwrites <paramref name="losses"/> [B,T,1] with KL(softmax(target) || softmax(logits)) of each token and, where given,
    /// <paramref name="logitsGradient"/> [B,T,V] (may be the logits) with <paramref name="gradientScale"/> * (softmax(logits) -
    /// softmax(target)).
    /// </summary>
    void KullbackLeibler(
        ActivationTensor targetLogits,
        ActivationTensor logits,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    );

    /// <summary>
    /// Overwrites entry <paramref name="index"/> of <paramref name="sums"/> with the sum over all entries of [B,T,C] of (prediction -
    /// target)^2, and the next with that of target^2, added in a fixed order: the first divided by the second is the normalised mean
    /// squared error.
    /// </summary>
    void NormalisedErrorForward(ActivationTensor prediction, ActivationTensor target, ScalarTensor sums, int index);

    /// <summary>
    /// Accumulates <paramref name="gradientScale"/> * 2 (prediction - target) / sums[index + 1] into <paramref name="predictionGradient"/>
    /// [B,T,C] and its negative into <paramref name="targetGradient"/> [B,T,C], where given. The sum of target^2 counts as a constant: a
    /// target must not lower its error by growing.
    /// </summary>
    /// <param name="sums">Of <see cref="NormalisedErrorForward"/>.</param>
    void NormalisedErrorBackward(
        ActivationTensor prediction,
        ActivationTensor target,
        ScalarTensor sums,
        int index,
        float gradientScale,
        ActivationTensor? predictionGradient,
        ActivationTensor? targetGradient
    );

    // Node masks (docs/method.md section 4).

    /// <summary>
    /// Overwrites <paramref name="output"/> [B,T,C] with input * mask + mean * (1 - mask); mask and mean are [1,C]; output may be the
    /// input. Where given, also overwrites <paramref name="kept"/> with the input, for <see cref="GateBackward"/>.
    /// </summary>
    void GateForward(ActivationTensor input, WeightTensor mask, WeightTensor mean, ActivationTensor output, SavedForBackward? kept = null);

    /// <summary>
    /// In place: gradient *= mask; before that accumulates sum over tokens of gradient * (input - mean) into
    /// <paramref name="maskGradient"/> [1,C].
    /// </summary>
    void GateBackward(SavedForBackward input, WeightTensor mask, WeightTensor mean, ActivationTensor gradient, WeightTensor maskGradient);

    /// <summary>
    /// Adds to <paramref name="sums"/> [C] the sum over all B*T tokens of each channel of <paramref name="input"/> [B,T,C].
    /// </summary>
    void ChannelSums(ActivationTensor input, Span<double> sums);

    // Optimiser.

    /// <summary>
    /// Overwrites entry <paramref name="index"/> of <paramref name="results"/> with the square root of the mean square over all entries of
    /// all <paramref name="tensors"/> together, summed in a fixed order.
    /// </summary>
    void RootMeanSquare(WeightList tensors, ScalarTensor results, int index);

    /// <summary>
    /// One Adam step (bias-corrected, dense moments) on all <paramref name="weights"/> with the gradients times
    /// <paramref name="gradientScale"/>; overwrites weights and moments, m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, w -= rate * (m /
    /// (1-b1^t)) / (sqrt(v / (1-b2^t)) + epsilon), and clears the gradients for the next step.
    /// </summary>
    /// <param name="weights">The four lists hold tensors of the same shapes in the same order.</param>
    /// <param name="step">t, from 1.</param>
    void AdamStep(
        WeightList weights,
        WeightList gradients,
        WeightList firstMoments,
        WeightList secondMoments,
        float gradientScale,
        float learningRate,
        float beta1,
        float beta2,
        float epsilon,
        int step
    );

    /// <summary>Adds each of <paramref name="sources"/> to that of <paramref name="targets"/>, of the same shape, and clears it.</summary>
    void MoveInto(WeightList sources, WeightList targets);

    /// <summary>In place: all weights *= <paramref name="factor"/>.</summary>
    void Scale(WeightList weights, float factor);

    /// <summary>
    /// In place, in each tensor by itself: zeroes all but as many entries as its budget keeps: first the minimum alive, the largest of
    /// every row or column, then the largest of the rest; ties go to the lower index. Protected entries count inside what is kept even
    /// where they are zero. NaN is larger than any number: it stays to be seen.
    /// </summary>
    /// <param name="weights">The tensors.</param>
    /// <param name="budgets">One for each tensor.</param>
    void KeepLargest(WeightList weights, ReadOnlySpan<WeightBudget> budgets);

    /// <summary>Number of entries that are not zero.</summary>
    int CountNonzero(WeightTensor weights);
}
