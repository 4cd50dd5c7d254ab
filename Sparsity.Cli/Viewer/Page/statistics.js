// The sections of the panel that need more files: what a node does over pretraining text and in the task's prompts.

import { load } from "viewer/data";
import { fill, h, number, percent } from "viewer/dom";
import { heatText, histogram } from "viewer/plots";
import { pairs } from "viewer/prompts";
import { scaleBar, scaleSwitch } from "viewer/scale";

const documents = new Map();

/** Elements for one node; they fill themselves when their document is there. */
export function sections(node, circuit) {
  return [
    section("Activations over pretraining text", circuit, "activations", (activations) =>
      distribution(find(activations, node)?.pretraining, node),
    ),
    section("In the task's prompts", circuit, "prompts", (prompts) => pairs(prompts, node, circuit)),
    section("Activations over the task's prompts", circuit, "activations", (activations) =>
      distribution(find(activations, node)?.task, node),
    ),
    section("Two values instead of all", circuit, "activations", (activations) =>
      binarisation(find(activations, node)?.binarisation, activations.binarised),
    ),
  ];
}

const find = (activations, node) => activations.nodes.find((entry) => entry.name === node.name);

function section(title, circuit, kind, render) {
  const body = h("div", {}, h("p", { class: "soft" }, "not recorded"));
  const element = h("section", { "data-section": title }, h("h3", {}, title), body);
  const document = documentOf(circuit, kind);
  if (document) {
    fill(body, h("p", { class: "soft" }, "loading…"));
    document.then(
      (loaded) => fill(body, render(loaded) ?? h("p", { class: "soft" }, "not recorded")),
      (error) => fill(body, h("p", { class: "bad" }, error.message)),
    );
  }
  return element;
}

/** The task's shortest test prompts with every node's activations; null where there are none. */
export const promptsOf = (circuit) => documentOf(circuit, "prompts");

/** How tokens and positions write the residual channels of the circuit's model; null where the model is not known. */
export const embeddingOf = (circuit) => documentOf(circuit, "embedding", circuit.circuit.model_fingerprint);

/** The trials of the search that found the circuit; null where there are none. */
export const trialsOf = (circuit) => documentOf(circuit, "search");

/** A promise of a further document of the circuit, asked for once; null where there is none. */
function documentOf(circuit, kind, id = circuit.id) {
  if (!circuit.has.includes(kind)) {
    return null;
  }
  const path = `${kind}/${id}`;
  if (!documents.has(path)) {
    const loading = load(path);
    loading.catch(() => documents.delete(path)); // asked for again next time
    documents.set(path, loading);
  }
  return documents.get(path);
}

/** Mean, histogram and examples. */
function distribution(summary, node) {
  if (!summary) {
    return null;
  }
  const numbers = [
    ["mean", number(summary.mean)],
    ["standard deviation", number(summary.deviation)],
    ["range", `${number(summary.minimum)} to ${number(summary.maximum)}`],
    ["exactly zero", percent(summary.zero_share)],
    ["tokens", String(summary.count)],
  ];
  return [
    h(
      "dl",
      { class: "numbers" },
      numbers.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    histogram(
      summary.histogram,
      [["mean", summary.mean]],
      `histogram of ${node.name}; heights are square roots of counts, the line is the mean`,
    ),
    examples(summary.examples, { low: summary.minimum, high: summary.maximum }),
  ];
}

function examples(list, scale) {
  const groups = Map.groupBy(list, (example) => `${example.end} ${example.percent} %`);
  return [
    list.length === 0 ? null : h("p", { class: "scales" }, scaleBar(scale, "colours"), scaleSwitch()),
    [...groups.entries()].map(([title, members], i) =>
      h(
        "details",
        { open: i === 0, class: "examples" },
        h("summary", {}, `${title}, activation ${number(members[0].values[members[0].position])}`),
        members.map((example) => heatText(example.tokens, example.values, scale, { focus: example.position })),
      ),
    ),
  ];
}

function binarisation(entry, all) {
  return entry
    ? [
        h(
          "p",
          {},
          `From ${number(entry.threshold)} on ${number(entry.high)}, below ${number(entry.low)}: the circuit's loss becomes ${number(entry.loss)} (as it is ${number(all.circuit)}; all nodes so ${number(all.all_nodes)}).`,
        ),
      ]
    : null;
}
