// The panel while nothing is selected: what the drawing means, which nodes matter most, what the task looks like.

import { MARKED_RISE } from "viewer/circuit";
import { count, fill, h, loss, number, signed } from "viewer/dom";
import { legend } from "viewer/legend";
import { promptsOf } from "viewer/statistics";
import { reference } from "viewer/summary";
import { plain } from "viewer/tokens";

const MOST_NODES = 10;

/** actions: as for panel.show. */
export function overview(circuit, actions) {
  return [
    h("h2", {}, "The circuit"),
    h("p", {}, "Point at a node or a line for its numbers, click a node for all that is known of it. Arrow keys follow edges."),
    h(
      "p",
      { class: "soft" },
      `${count(circuit.nodes.size)} nodes, ${count(circuit.edges.length)} edges, ${count(circuit.links.length)} residual links.`,
    ),
    imported(circuit.circuit),
    h("section", {}, h("h3", {}, "How to read it"), legend()),
    strongest(circuit, actions),
    layers(circuit, actions),
    task(circuit),
  ];
}

/** What the file of an imported circuit says, beside what was measured here, and what had to be decided for that. */
function imported({ imported: source, measurements: m }) {
  if (!source) {
    return null;
  }
  const row = (name, stored, here) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      [number(stored), number(here), stored === null ? "–" : signed(Number((here - stored).toPrecision(2)))].map((value) =>
        h("td", {}, value),
      ),
    );
  return h(
    "section",
    { id: "imported" },
    h("h3", {}, "Imported"),
    h("p", { class: "soft" }, [source.task, source.sweep, source.k].filter(Boolean).join(" / ")),
    h(
      "table",
      { class: "grid numeric" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["loss", "file", "here", "difference"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h("tbody", {}, row("full model", source.stored_loss_full_model, m.loss_full_model), row("circuit", source.stored_loss, m.loss)),
    ),
    h(
      "ul",
      { class: "assumptions" },
      [`prompts: ${source.prompts}`, `answers: ${source.answers}`, `other nodes at: ${source.means}`].map((line) => h("li", {}, line)),
    ),
    h("p", { class: "soft" }, "Effects of nodes and edges are the file's."),
  );
}

function strongest(circuit, actions) {
  const measured = [...circuit.nodes.values()]
    .filter((node) => node.data.ablation_effect > 0)
    .sort((a, b) => b.data.ablation_effect - a.data.ablation_effect);
  return measured.length === 0
    ? null
    : h(
        "section",
        { id: "strongest" },
        h("h3", {}, "Nodes that matter most"),
        h("p", { class: "soft" }, "By how many nats the circuit's loss rises when the node is frozen too."),
        h(
          "table",
          { class: "edges" },
          h(
            "tbody",
            {},
            measured
              .slice(0, MOST_NODES)
              .map((node) =>
                h("tr", {}, h("td", {}, signed(Number(node.data.ablation_effect.toPrecision(3)))), h("td", {}, reference(node, actions))),
              ),
          ),
        ),
      );
}

/** How much the loss rises without one attention or MLP, with a dot where that is much; a click selects its strongest node. */
function layers(circuit, actions) {
  const { circuit: c, layerEffects } = circuit;
  if (layerEffects.size === 0) {
    return null;
  }
  const whole = c.imported?.stored_loss ?? c.measurements.loss;
  const strongestOf = (part) =>
    [...circuit.nodes.values()]
      .filter((node) => node.name.startsWith(part + "."))
      .sort((a, b) => (b.data.ablation_effect ?? 0) - (a.data.ablation_effect ?? 0))[0];
  return h(
    "section",
    { id: "layers" },
    h("h3", {}, "Without one attention or MLP"),
    h("p", { class: "soft" }, `All of its nodes frozen. A dot: the loss rises by more than ${MARKED_RISE} nats.`),
    h(
      "table",
      { class: "grid numeric" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["part", "loss", "rises by", ""].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        [...layerEffects].map(([part, rise]) => {
          const node = strongestOf(part);
          return h(
            "tr",
            {},
            h(
              "th",
              { scope: "row" },
              node ? h("button", { type: "button", class: "reference", onclick: () => actions.select(node) }, part) : part,
            ),
            h("td", {}, loss(whole + rise)),
            h("td", {}, signed(Number(rise.toPrecision(3)))),
            h("td", {}, rise > MARKED_RISE ? h("span", { class: "bad", role: "img", "aria-label": "rises much" }, "●") : ""),
          );
        }),
      ),
    ),
  );
}

/** The shortest test prompts, so that one sees what is asked; empty until they are there. */
function task(circuit) {
  const element = h("section", { id: "task-prompts" });
  promptsOf(circuit)?.then(
    (prompts) =>
      fill(
        element,
        h("h3", {}, `The task: ${circuit.circuit.task}`),
        prompts.pairs.slice(0, 1).map((pair) =>
          [
            [pair.first, pair.answer_a],
            [pair.second, pair.answer_b],
          ].map(([tokens, answer]) => h("p", { class: "heat" }, tokens.map(plain).join(""), h("mark", {}, plain(answer)))),
        ),
      ),
    () => {},
  ); // the node's own section says what is wrong
  return element;
}
