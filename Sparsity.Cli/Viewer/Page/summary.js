// Nodes and lines in a few words: for the box beside the pointer, screen readers, headings and references.

import { count, h, number, signed } from "viewer/dom";
import * as labels from "viewer/labels";
import { describe } from "viewer/names";
import { compact } from "viewer/tokens";

const TOKENS = 5;

/** The label, if it has one, and what the node is. */
export function titleOf(node) {
  const label = labels.of(node.name);
  const what = node.kind.logit ? `logit of ${node.title}` : node.kind.embedding ? `embedding, residual channel ${node.channel}` : node.name;
  return label ? `${label} (${what})` : what;
}

/** By how much the circuit's loss rises when the node is frozen too, as far as recorded. */
export function effectText(node) {
  const effect = node.data.ablation_effect;
  return effect === undefined || effect === null ? "not recorded" : `${signed(effect)} nats`;
}

/** Lines about a node. */
export function nodeSummary(node, circuit) {
  const tokens = node.kind.embedding ? circuit.channels?.[node.channel] : null;
  const list = (entries) =>
    entries
      .slice(0, TOKENS)
      .map((entry) => compact(entry.token))
      .join("  ");
  const weights = (edges, way) => `${count(edges.length)} weights ${way}${edges.length ? `, strongest ${signed(edges[0].weight)}` : ""}`;
  return [
    h("strong", {}, titleOf(node)),
    node.data
      ? h("div", { class: "soft" }, describe(node, circuit.model))
      : node.kind.embedding
        ? h("div", { class: "soft" }, "what tokens write into the residual stream")
        : null,
    node.data
      ? [
          h("div", {}, `${weights(node.in, "in")}; ${weights(node.out, "out")}`),
          h("div", {}, "ablation effect: " + effectText(node)),
          h(
            "div",
            { class: "soft" },
            `${typeof node.data.tau === "number" ? `tau ${number(node.data.tau)}, ` : ""}mean ${number(node.data.mean)}${node.data.bias === null ? "" : `, bias ${number(node.data.bias)}`}`,
          ),
        ]
      : null,
    tokens ? [h("div", {}, "most ", h("code", {}, list(tokens.top))), h("div", {}, "least ", h("code", {}, list(tokens.bottom)))] : null,
  ];
}

/** Lines about an edge, a residual link or a line to a logit. */
export function edgeSummary(edge) {
  const what =
    edge.channel !== undefined
      ? `residual channel ${edge.channel}, not counted`
      : edge.to.kind.logit
        ? edge.weight === null
          ? "read by the logits"
          : `direct weight ${signed(edge.weight)}, not counted`
        : `weight ${signed(edge.weight)}`;
  return [
    h("strong", {}, what),
    typeof edge.effect === "number" ? h("div", {}, `loss ${signed(edge.effect)} nats without it`) : null,
    h("div", {}, `${titleOf(edge.from)} → ${titleOf(edge.to)}`),
  ];
}

/** A node's name as a button that selects it. */
export function reference(node, actions) {
  const label = labels.of(node.name);
  return h(
    "button",
    { type: "button", class: "reference", onclick: () => actions.select(node) },
    label ? [label, h("span", { class: "soft" }, " " + node.name)] : node.name,
  );
}
