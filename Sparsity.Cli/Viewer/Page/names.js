// Names of nodes, LAYER.LOCATION.CHANNEL or final_resid.CHANNEL, and what their parts mean; names of models.

/**
 * The node locations in the order of computation, final_resid behind all layers, from the program's one table of them: name (location), row
 * of the drawing, meaning (text), part of a
 * head, whether a node reads or writes its channel of the residual stream, and whether it is one (lane).
 */
export const LOCATIONS = JSON.parse(document.getElementById("document:locations").textContent).map((entry, order) => ({
  ...entry,
  order,
  lane: entry.reads || entry.writes,
}));

const BY_NAME = new Map(LOCATIONS.map((entry) => [entry.location, entry]));

/** { name, layer, channel, kind }, kind being an entry of LOCATIONS with its order; null for a name that is none. */
export function parse(name) {
  const match = /^(?:(\d+)\.)?([a-z_.]+)\.(\d+)$/.exec(name);
  const kind = match && BY_NAME.get(match[2]);
  return kind && kind.final === (match[1] === undefined)
    ? { name, layer: kind.final ? Infinity : Number(match[1]), channel: Number(match[3]), kind }
    : null;
}

/** The attention head of a q, k or v node; null for others or where the model's head size is not known. */
export const headOf = (node, model) => (node.kind.head && model ? Math.floor(node.channel / model.d_head) : null);

/** In words: "layer 3, head 2, query" . */
export function describe(node, model) {
  const head = headOf(node, model);
  const positions = node.kind.reads && model && node.channel >= model.d_model ? `, position channel ${node.channel - model.d_model}` : "";
  return `${node.kind.final ? "" : `layer ${node.layer}, `}${head === null ? "" : `head ${head}, `}${node.kind.text}, channel ${node.channel}${positions}`;
}

/**
 * Gives every circuit of a list the same short name for the same model: the shortest that a circuit has for it, without folders; with the
 * fingerprint's first letters where two models would share one.
 */
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
