// Where a report starts: every <script type="application/json" data-drawing="KIND"> in it gives way to the drawing of its data.

import { bars, lines } from "viewer/charts";
import * as circuits from "viewer/circuit";
import { h } from "viewer/dom";
import { Graph } from "viewer/graph";
import { legend } from "viewer/legend";
import { steering } from "viewer/reports";

const FRAME = 18; // pixels around a drawing that need not scroll

const kinds = {
  lines: (place, { series, options }) => place.replaceWith(lines(series, options)),
  bars: (place, { groups, options }) => place.replaceWith(bars(groups, options)),
  legend: (place) => place.replaceWith(legend()),
  steering: (place, report) => place.replaceWith(steering(report)),
  circuit,
};

document.querySelectorAll("script[data-drawing]").forEach((place, i) => {
  kinds[place.dataset.drawing](place, JSON.parse(place.textContent), i);
});

/** The viewer's drawing without its panel: as tall as it is, with the arrows, the marks and the box beside the pointer. */
function circuit(place, { title, document: source }, i) {
  const element = h("div", { class: "canvas", id: `circuit-${i}`, tabindex: "0", role: "application", "aria-label": title });
  place.replaceWith(element);
  const graph = new Graph(element, (node) => graph.mark(node, true));
  graph.show(circuits.open(source));
  element.style.height = graph.layout.height + FRAME + "px";
  graph.fit();
  element.style.height = graph.layout.height * graph.zoom + FRAME + "px";
}
