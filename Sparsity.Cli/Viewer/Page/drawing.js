// A laid out circuit as SVG.

import { sizeOf } from "viewer/circuit";
import { s } from "viewer/dom";
import * as labels from "viewer/labels";
import { textOf } from "viewer/layout";
import { titleOf } from "viewer/summary";

/**
 * { svg, elements: Map(node → element), lines: Map(edge → element) }. prefix: of the elements' ids. by: "effect", or else lines are as wide
 * as weights.
 */
export function draw(circuit, layout, prefix, by) {
  const elements = new Map();
  const lines = new Map();
  const line = (kind, largest, measure) => (edge) => {
    const element = lineOf(edge, kind, largest > 0 ? sizeOf(edge, measure) / largest : 0, layout);
    lines.set(edge, element);
    return element;
  };
  const most = Math.max(0, ...[...circuit.nodes.values()].map((node) => node.data.ablation_effect ?? 0));
  const nodes = [...circuit.embeddings, ...circuit.nodes.values(), ...circuit.logits.nodes].filter((node) => layout.places.has(node));
  for (const node of nodes) {
    elements.set(node, nodeOf(node, layout, { effect: most, weight: circuit.largest }, prefix));
  }
  const weakestFirst = [...circuit.edges].sort((a, b) => sizeOf(a, by) - sizeOf(b, by)); // what is drawn last lies on top
  const svg = s(
    "svg",
    { class: layout.named ? "graph" : "graph dense", viewBox: `0 0 ${layout.width} ${layout.height}`, role: "presentation" },
    bands(layout),
    s(
      "g",
      { class: "lanes" },
      layout.lanes.map((lane) => s("line", { class: "lane", x1: lane.x, x2: lane.x, y1: lane.bottom, y2: lane.top })),
    ),
    s(
      "g",
      { class: "boxes" },
      layout.boxes.map((box) => s("rect", { class: "box", x: box.x, y: box.y, width: box.width, height: box.height, rx: 5 })),
    ),
    s("g", { class: "links" }, circuit.links.map(line("link", 0))),
    s("g", { class: "edges" }, weakestFirst.map(line("edge", by === "effect" ? circuit.largestEffect : circuit.largest, by))),
    s("g", { class: "readouts" }, circuit.logits.drawn.map(line("readout", circuit.logits.largest))),
    boxTitles(layout),
    s("g", { class: "nodes" }, [...elements.values()]),
  );
  return { svg, elements, lines };
}

/** A field behind every layer. */
function bands(layout) {
  const layers = Map.groupBy(layout.rows, (row) => row.layer);
  return s(
    "g",
    { class: "bands" },
    [...layers.values()].map((rows) => {
      const top = Math.min(...rows.map((row) => row.top)) - 18;
      const bottom = Math.max(...rows.map((row) => row.bottom)) + 12;
      return s("rect", { class: "band", x: 2, y: top, width: layout.width - 4, height: bottom - top, rx: 8 });
    }),
  );
}

function boxTitles(layout) {
  return s(
    "g",
    { class: "box-titles" },
    layout.boxes.map((box) => [
      s("text", { class: "box-title", x: box.x + 2, y: box.y - 4 }, box.width < 42 ? box.title.replace("head ", "h") : box.title),
      box.columns.map((column) => s("text", { class: "box-part", x: box.centre + column.x - 4, y: box.y + 11 }, column.part)),
    ]),
  );
}

/** size: as a share of the largest. */
function lineOf(edge, kind, size, layout) {
  const from = layout.places.get(edge.from);
  const to = layout.places.get(edge.to);
  const sign = edge.weight > 0 ? " positive" : edge.weight < 0 ? " negative" : "";
  // What reaches the logits stays in its lane up to the last row below them.
  const start = kind === "readout" ? Math.max(to.y + 30, layout.rows[1].top - 6) : from.y;
  const middle = (start + to.y) / 2;
  const path =
    from.x === to.x
      ? `M${round(from.x)} ${round(from.y)}V${round(to.y)}`
      : `M${round(from.x)} ${round(from.y)}V${round(start)}C${round(from.x)} ${round(middle)} ${round(to.x)} ${round(middle)} ${round(to.x)} ${round(to.y)}`;
  const element = s("path", {
    class: kind + sign,
    d: path,
    "stroke-width": kind === "link" ? null : widthOf(size, layout),
  });
  element.edge = edge;
  return element;
}

/** A short line into the node from below, as wide as an edge of this weight. */
const biasOf = (bias, x, y, layout, largest) =>
  s("path", {
    class: "bias " + (bias < 0 ? "negative" : "positive"),
    d: `M${round(x - layout.radius)} ${round(y + layout.radius)}L${round(x)} ${round(y)}`,
    "stroke-width": widthOf(largest > 0 ? Math.min(1, Math.abs(bias) / largest) : 0, layout),
  });

/** size: of a weight, as a share of the largest. */
const widthOf = (size, layout) => round(layout.named ? 0.8 + 3.4 * size : 0.4 + 2 * size);

/** largest: the largest ablation effect and the largest weight of the circuit, for the dot inside a node and the stub of its bias. */
function nodeOf(node, layout, largest, prefix) {
  const { x, y } = layout.places.get(node);
  const r = layout.radius;
  const text = layout.named || node.kind.logit || labels.of(node.name) ? textOf(node, labels.of) : null;
  const shape = node.kind.embedding
    ? s("rect", { class: "shape", x: round(x - r + 1), y: round(y - r + 1), width: 2 * r - 2, height: 2 * r - 2 })
    : node.kind.logit
      ? s("rect", {
          class: "shape",
          x: round(x - r),
          y: round(y - r),
          width: 2 * r,
          height: 2 * r,
          rx: 2,
          transform: `rotate(45 ${round(x)} ${round(y)})`,
        })
      : s("circle", { class: "shape", cx: round(x), cy: round(y), r });
  // The dot's area is the effect's share of the largest.
  const effect = node.data?.ablation_effect > 0 ? Math.sqrt(node.data.ablation_effect / largest.effect) * (r - 1.5) : 0;
  const kind = node.kind.embedding ? " embedding" : node.kind.logit ? " logit" : "";
  const element = s(
    "g",
    {
      class: "node" + kind + (labels.of(node.name) ? " labelled" : ""),
      id: `${prefix}:${node.name}`,
      "data-name": node.name,
      role: "img",
      "aria-label": titleOf(node),
    },
    node.data?.bias ? biasOf(node.data.bias, x - 0.7 * r, y + 0.7 * r, layout, largest.weight) : null,
    shape,
    effect > 0 ? s("circle", { class: "effect", cx: round(x), cy: round(y), r: round(effect) }) : null,
    text === null ? null : s("text", { class: "name", x: round(x + r + 3), y: round(y + 4) }, text),
    layout.writers.get(node)?.map(({ text: token, weight }, i) =>
      s(
        "text",
        {
          class: "writer " + (weight < 0 ? "negative" : "positive"),
          x: round(x - r + 1),
          y: round(y + r + 14 + i * layout.writerHeight),
        },
        token,
      ),
    ),
  );
  element.node = node;
  return element;
}

const round = (value) => Math.round(value * 100) / 100;
