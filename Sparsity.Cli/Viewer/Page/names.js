// Names of nodes, LAYER.LOCATION.CHANNEL or final_resid.CHANNEL, and what their parts mean; names of models.

/** The node locations of a layer in the order of computation, and final_resid behind all layers. lane: the channel is one of the residual stream. */
export const LOCATIONS = [
  { location: "attn.act_in", row: "attn in", lane: true, reads: true, text: "normed input of attention" },
  { location: "attn.q", row: "q k v", head: "q", text: "query" },
  { location: "attn.k", row: "q k v", head: "k", text: "key" },
  { location: "attn.v", row: "q k v", head: "v", text: "value" },
  { location: "attn.resid_delta", row: "attn out", lane: true, writes: true, text: "what attention adds to the residual" },
  { location: "mlp.act_in", row: "mlp in", lane: true, reads: true, text: "normed input of the MLP" },
  { location: "mlp.post_act", row: "neurons", text: "MLP neuron" },
  { location: "mlp.resid_delta", row: "mlp out", lane: true, writes: true, text: "what the MLP adds to the residual" },
  { location: "final_resid", row: "final", lane: true, reads: true, writes: true, final: true, text: "final residual, which the logits read" },
];

const BY_NAME = new Map(LOCATIONS.map((entry, order) => [entry.location, { ...entry, order }]));

/** { name, layer, channel, kind }, kind being an entry of LOCATIONS with its order; null for a name that is none. */
export function parse(name) {
  const match = /^(?:(\d+)\.)?([a-z_.]+)\.(\d+)$/.exec(name);
  const kind = match && BY_NAME.get(match[2]);
  return kind && (kind.final ?? false) === (match[1] === undefined) ? { name, layer: kind.final ? Infinity : Number(match[1]), channel: Number(match[3]), kind } : null;
}

/** The attention head of a q, k or v node; null for others or where the model's head size is not known. */
export const headOf = (node, model) => (node.kind.head && model ? Math.floor(node.channel / model.d_head) : null);

/** In words: "layer 3, head 2, query" . */
export function describe(node, model) {
  const head = headOf(node, model);
  const positions = node.kind.reads && model && node.channel >= model.d_model ? `, position channel ${node.channel - model.d_model}` : "";
  return `${node.kind.final ? "" : `layer ${node.layer}, `}${head === null ? "" : `head ${head}, `}${node.kind.text}, channel ${node.channel}${positions}`;
}

/** Gives every circuit of a list the same short name for the same model: the shortest that a circuit has for it, without folders; with the fingerprint's first letters where two models would share one. */
export function nameModels(circuits) {
  const names = new Map();
  for (const { model, model_fingerprint: fingerprint } of circuits) {
    const name = model.split(/[\\/]/).filter(Boolean).at(-1) ?? model;
    const known = names.get(fingerprint);
    if (!known || name.length < known.length) {
      names.set(fingerprint, name);
    }
  }
  const shared = (name) => [...names.values()].filter((other) => other === name).length > 1;
  return circuits.map((entry) => {
    const name = names.get(entry.model_fingerprint);
    return { ...entry, model: shared(name) ? `${name} (${entry.model_fingerprint.slice(0, 6)})` : name };
  });
}
