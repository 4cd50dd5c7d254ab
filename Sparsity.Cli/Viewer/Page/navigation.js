// Where the arrow keys lead.

/** The first node from below. */
export const first = (layout) => layout.rows.at(-1)?.nodes[0] ?? null;

/**
 * The other end of the strongest edge out of (up) or into a node, among those of at least the threshold; failing that of a residual link or
 * of a logit's line.
 */
export function alongEdge(node, up, circuit, layout, threshold) {
  const y = (entry) => layout.places.get(entry).y;
  const end = (edge) => (up ? edge.to : edge.from);
  const strongest = (up ? node.out : node.in).find((edge) => Math.abs(edge.weight) >= threshold);
  const links = (up ? node.to : node.from).map(end).sort((a, b) => Math.abs(y(a) - y(node)) - Math.abs(y(b) - y(node)));
  const readouts = circuit.logits.drawn.filter((edge) => (up ? edge.from : edge.to) === node).map(end);
  return [...(strongest ? [end(strongest)] : []), ...links, ...readouts][0] ?? null;
}

/** The neighbour in the row; from its end to its beginning. */
export function alongRow(node, step, layout) {
  const place = (entry) => layout.places.get(entry);
  const row = layout.rows.find((entry) => entry.nodes.includes(node));
  const order = [...row.nodes].sort((a, b) => place(a).x - place(b).x || place(a).y - place(b).y);
  return order[(order.indexOf(node) + step + order.length) % order.length];
}
