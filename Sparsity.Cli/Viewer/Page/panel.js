// The panel beside the graph: all that is known of the selected node.

import { fill, find, h, number, signed } from "viewer/dom";
import * as labels from "viewer/labels";
import { describe } from "viewer/names";
import { overview } from "viewer/overview";
import * as state from "viewer/state";
import { effectText, reference, titleOf } from "viewer/summary";

const MOST_ROWS = 12;

/** actions: { select(node), relabelled(), sections(node, circuit): further elements }. */
export function show(node, circuit, actions) {
  const panel = find("panel");
  panel.scrollTop = 0;
  if (!node) {
    fill(panel, widthSwitch(), overview(circuit, actions));
    return;
  }
  fill(
    panel,
    widthSwitch(),
    h("h2", {}, titleOf(node)),
    node.kind.logit ? logit(node, circuit, actions) : node.kind.embedding ? null : h("p", { class: "soft" }, describe(node, circuit.model)),
    node.data ? [labelEditor(node, actions), numbers(node)] : null,
    edgeTable("Weights in", node.in, "from", actions),
    edgeTable("Weights out", node.out, "to", actions),
    linkList(
      "Channel written by",
      node.from.map((link) => link.from),
      actions,
    ),
    linkList(
      "Channel read by",
      node.to.map((link) => link.to),
      actions,
    ),
    node.kind.lane ? tokens(circuit.channels?.[node.channel], node.channel) : null,
    node.data ? actions.sections(node, circuit) : null,
  );
}

/** The panel takes the larger part of the window: for prompts beside each other. */
function widthSwitch() {
  const box = h("input", {
    type: "checkbox",
    id: "wide",
    checked: state.get("wide") === "1",
    onchange: () => state.set({ wide: box.checked ? "1" : null }),
  });
  return h("label", { class: "width-switch" }, box, " wide");
}

function labelEditor(node, actions) {
  const input = h("input", {
    type: "text",
    id: "label",
    value: labels.of(node.name),
    maxlength: "200",
    placeholder: "your name for this node",
    autocomplete: "off",
  });
  const keep = (event) => {
    event.preventDefault();
    if (labels.of(node.name) !== input.value.trim()) {
      labels.set(node.name, input.value);
      actions.relabelled();
    }
  };
  return h("form", { class: "label-editor", onsubmit: keep }, h("label", { for: "label" }, "Label"), input, h("button", {}, "Keep"));
}

function numbers(node) {
  const rows = [
    ...(typeof node.data.tau === "number" ? [["tau", number(node.data.tau)]] : []),
    ["mean over pretraining", number(node.data.mean)],
    ["bias", node.data.bias === null ? "none" : number(node.data.bias)],
    ["ablation effect", effectText(node)],
  ];
  return h(
    "dl",
    { class: "numbers" },
    rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

function edgeTable(title, edges, end, actions) {
  if (edges.length === 0) {
    return null;
  }
  const hasEffects = edges.some((edge) => typeof edge.effect === "number");
  const row = (edge) =>
    h(
      "tr",
      {},
      h("td", { class: edge.weight < 0 ? "negative" : "positive" }, signed(edge.weight)),
      hasEffects ? h("td", {}, typeof edge.effect === "number" ? signed(Number(edge.effect.toPrecision(3))) : "–") : null,
      h("td", {}, reference(edge[end], actions)),
    );
  const body = h("tbody", {}, edges.slice(0, MOST_ROWS).map(row));
  const more =
    edges.length > MOST_ROWS
      ? h(
          "button",
          {
            type: "button",
            class: "more",
            onclick: () => {
              body.append(...edges.slice(MOST_ROWS).map(row));
              more.remove();
            },
          },
          `${edges.length - MOST_ROWS} more`,
        )
      : null;
  return h(
    "section",
    {},
    h("h3", {}, `${title} (${edges.length})`),
    h(
      "table",
      { class: "edges" },
      hasEffects
        ? h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["weight", "effect", "node"].map((name) => h("th", { scope: "col" }, name)),
            ),
          )
        : null,
      body,
    ),
    more,
  );
}

function linkList(title, nodes, actions) {
  if (nodes.length === 0) {
    return null;
  }
  const items = nodes.map((node) => h("li", {}, reference(node, actions)));
  const list = h("ul", { class: "references" }, items.slice(0, MOST_ROWS));
  const more =
    items.length > MOST_ROWS
      ? h(
          "button",
          {
            type: "button",
            class: "more",
            onclick: () => {
              list.append(...items.slice(MOST_ROWS));
              more.remove();
            },
          },
          `${items.length - MOST_ROWS} more`,
        )
      : null;
  return h("section", {}, h("h3", {}, title), list, more);
}

function tokens(entry, channel) {
  if (!entry) {
    return null;
  }
  const column = (title, list) =>
    h(
      "div",
      {},
      h("h4", {}, title),
      h(
        "ol",
        { class: "tokens" },
        list.map((item) => h("li", {}, h("code", {}, item.token), " ", h("span", { class: "soft" }, signed(item.weight)))),
      ),
    );
  return h(
    "section",
    {},
    h("h3", {}, `Token embeddings in channel ${channel}`),
    h("div", { class: "columns" }, column("most", entry.top), column("least", entry.bottom)),
  );
}

function logit(node, circuit, actions) {
  const edges = circuit.logits.edges.filter((edge) => edge.to === node).sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  return [
    node.answer
      ? h(
          "p",
          {},
          `The answer after a ${node.channel === 0 ? "first" : "second"} prompt, in ${Math.round(100 * circuit.readout.share)} % of the task's pairs. Weights: final norm times unembedding.`,
        )
      : h("p", { class: "soft" }, "All logits. With the model's folder (--model), the task's two answers and their weights are shown."),
    h(
      "section",
      {},
      h("h3", {}, "Read from"),
      h(
        "table",
        { class: "edges" },
        h(
          "tbody",
          {},
          edges.map((edge) =>
            h(
              "tr",
              {},
              h("td", { class: edge.weight < 0 ? "negative" : "positive" }, edge.weight === null ? "" : signed(edge.weight)),
              h("td", {}, reference(edge.from, actions)),
            ),
          ),
        ),
      ),
    ),
  ];
}
