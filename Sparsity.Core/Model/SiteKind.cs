namespace Sparsity.Core.Model;

/// <summary>
/// The places of a layer where activations can be seen and changed, in the order they are computed. Eight of them are node locations
/// (docs/method.md section 4). AbsTopK, node masks, recording and interventions all act at these and nowhere else.
/// </summary>
public enum SiteKind
{
    ResidIn,
    AttnActIn,
    AttnQ,
    AttnK,
    AttnV,
    AttnY,
    AttnResidDelta,
    ResidMid,
    MlpActIn,
    MlpPreAct,
    MlpPostAct,
    MlpResidDelta,
    FinalResid,
}
