// The panel while nothing is selected: what the drawing means, which nodes matter most, what the task looks like.

import { count, fill, h, loss, number, s, signed } from "viewer/dom";
import { promptsOf } from "viewer/statistics";
import { reference } from "viewer/summary";
import { plain } from "viewer/tokens";

const MOST_NODES = 10;

/** actions: as for panel.show. */
export function overview(circuit, actions) {
  return [
    h("h2", {}, "The circuit"),
    h("p", {}, "Point at a node or a line for its numbers, click a node for all that is known of it. Arrow keys follow edges."),
    h("p", { class: "soft" }, `${count(circuit.nodes.size)} nodes, ${count(circuit.edges.length)} edges, ${count(circuit.links.length)} residual links.`),
    imported(circuit.circuit),
    legend(),
    strongest(circuit, actions),
    task(circuit),
  ];
}

/** What the file of an imported circuit says, beside what was measured here, and what had to be decided for that. */
function imported({ imported: source, measurements: m }) {
  if (!source) {
    return null;
  }
  const row = (name, stored, here) => h("tr", {}, h("th", { scope: "row" }, name), [number(stored), number(here), stored === null ? "–" : signed(Number((here - stored).toPrecision(2)))].map((value) => h("td", {}, value)));
  const parts = Object.entries(source.layer_losses);
  return h("section", { id: "imported" }, h("h3", {}, "Imported"),
    h("p", { class: "soft" }, [source.task, source.sweep, source.k].filter(Boolean).join(" / ")),
    h("table", { class: "grid numeric" }, h("thead", {}, h("tr", {}, ["loss", "file", "here", "difference"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, row("full model", source.stored_loss_full_model, m.loss_full_model), row("circuit", source.stored_loss, m.loss))),
    h("ul", { class: "assumptions" }, [`prompts: ${source.prompts}`, `answers: ${source.answers}`, `other nodes at: ${source.means}`].map((line) => h("li", {}, line))),
    h("p", { class: "soft" }, "Effects of nodes and edges are the file's."),
    parts.length === 0 || source.stored_loss === null ? null : h("details", {}, h("summary", {}, "Without one attention or MLP"),
      h("table", { class: "grid numeric" }, h("thead", {}, h("tr", {}, ["part", "loss", "rises by"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, parts.map(([part, value]) => h("tr", {}, h("th", { scope: "row" }, part), h("td", {}, loss(value)), h("td", {}, signed(Number((value - source.stored_loss).toPrecision(3))))))))),
    source.settings === null ? null : h("details", {}, h("summary", {}, "Settings of its search"), h("dl", { class: "numbers" },
      Object.entries(source.settings).map(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value))]))));
}

function legend() {
  const sample = (...shapes) => s("svg", { class: "graph sample", width: 40, height: 18, "aria-hidden": "true" }, shapes);
  const line = (kind) => s("path", { class: kind, d: "M3 9H37", "stroke-width": kind.startsWith("link") ? null : 3 });
  const node = (r) => s("g", { class: "node" }, s("circle", { class: "shape", cx: 20, cy: 9, r: 6 }), r ? s("circle", { class: "effect", cx: 20, cy: 9, r }) : null);
  const rows = [
    [node(0), "a node; its number is its channel"],
    [node(4.5), "the larger its dot, the more the loss rises without it"],
    [s("g", { class: "embedding" }, s("rect", { class: "shape", x: 15, y: 4, width: 10, height: 10 })), "embedding of a residual channel, and the tokens that write it most"],
    [s("g", { class: "logit" }, s("rect", { class: "shape", x: 15, y: 4, width: 10, height: 10, transform: "rotate(45 20 9)" })), "logit of an answer"],
    [[s("rect", { class: "box", x: 3, y: 1, width: 34, height: 16, rx: 3 }), ["q", "k", "v"].map((part, i) => s("text", { class: "box-part", x: 7 + 10 * i, y: 13 }, part))], "an attention head: queries and keys choose where values are taken from"],
    [line("edge positive"), "positive weight, wider the larger (or the more the loss rises without it: widths by effect)"],
    [line("edge negative"), "negative weight"],
    [s("g", { class: "node" }, s("path", { class: "bias positive", d: "M10 17L16 12", "stroke-width": 3 }), s("circle", { class: "shape", cx: 20, cy: 8, r: 6 })), "a bias, coloured and wide like a weight; not counted"],
    [line("link"), "the same residual channel, written and read"],
    [line("readout"), "what a channel adds to an answer's logit"],
  ];
  return h("section", {}, h("h3", {}, "How to read it"), h("ul", { class: "key" }, rows.map(([shapes, text]) => h("li", {}, sample(shapes), h("span", {}, text)))));
}

function strongest(circuit, actions) {
  const measured = [...circuit.nodes.values()].filter((node) => node.data.ablation_effect > 0).sort((a, b) => b.data.ablation_effect - a.data.ablation_effect);
  return measured.length === 0 ? null : h("section", { id: "strongest" }, h("h3", {}, "Nodes that matter most"),
    h("p", { class: "soft" }, "By how many nats the circuit's loss rises when the node is frozen too."),
    h("table", { class: "edges" }, h("tbody", {}, measured.slice(0, MOST_NODES).map((node) => h("tr", {}, h("td", {}, signed(Number(node.data.ablation_effect.toPrecision(3)))), h("td", {}, reference(node, actions)))))));
}

/** The shortest test prompts, so that one sees what is asked; empty until they are there. */
function task(circuit) {
  const element = h("section", { id: "task-prompts" });
  promptsOf(circuit)?.then((prompts) => fill(element, h("h3", {}, `The task: ${circuit.circuit.task}`), prompts.pairs.slice(0, 1).map((pair) => [[pair.first, pair.answer_a], [pair.second, pair.answer_b]].map(([tokens, answer]) =>
    h("p", { class: "heat" }, tokens.map(plain).join(""), h("mark", {}, plain(answer)))))), () => {}); // the node's own section says what is wrong
  return element;
}
