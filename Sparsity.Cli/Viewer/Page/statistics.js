// The sections of the panel that need more files: what a node does over pretraining text and in the task's prompts.

import { load } from "viewer/data";
import { fill, h, number, percent } from "viewer/dom";
import { headOf } from "viewer/names";
import { attention, heatText, histogram } from "viewer/plots";

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

/** A promise of a further document of the circuit, asked for once; null where there is none. */
function documentOf(circuit, kind) {
  if (!circuit.has.includes(kind)) {
    return null;
  }
  const path = `${kind}/${circuit.id}`;
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
    examples(summary.examples, Math.max(Math.abs(summary.minimum), Math.abs(summary.maximum))),
  ];
}

function examples(list, largest) {
  const groups = Map.groupBy(list, (example) => `${example.end} ${example.percent} %`);
  return [...groups.entries()].map(([title, members], i) =>
    h(
      "details",
      { open: i === 0, class: "examples" },
      h("summary", {}, `${title}, activation ${number(members[0].values[members[0].position])}`),
      members.map((example) => heatText(example.tokens, example.values, largest, example.position)),
    ),
  );
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

/** Both prompts of a pair with the node's activation at every token, what changes from one to the other, and the attention of its head. */
function pairs(prompts, node, circuit) {
  const values = prompts.activations[node.name];
  if (!values) {
    return null;
  }
  const largest = Math.max(...values.flat(2).map(Math.abs), 0);
  const head = headOf(node, circuit.model);
  const pattern = prompts.heads.find((entry) => entry.layer === node.layer && entry.head === head);
  const body = h("div", {});
  const show = (i) => {
    const pair = prompts.pairs[i];
    const [first, second] = values[i];
    const shift = second.length - first.length; // the answers are read at the last tokens: prompts are compared from their ends
    const difference = second.map((value, at) => (first[at - shift] === undefined ? NaN : value - first[at - shift]));
    fill(
      body,
      h("h4", {}, `answer ${pair.answer_a}`),
      heatText(pair.first, first, largest, first.length - 1),
      h("h4", {}, `answer ${pair.answer_b}`),
      heatText(pair.second, second, largest, second.length - 1),
      h("h4", {}, "second minus first"),
      heatText(pair.second, difference, largest, second.length - 1),
      pattern
        ? [
            h("h4", {}, `attention of head ${head}, answer ${pair.answer_a}`),
            heatText(pair.first, pattern.patterns[i][0].at(-1), 1, first.length - 1),
            attention(pair.first, pattern.patterns[i][0]),
            h("h4", {}, `answer ${pair.answer_b}`),
            heatText(pair.second, pattern.patterns[i][1].at(-1), 1, second.length - 1),
            attention(pair.second, pattern.patterns[i][1]),
          ]
        : null,
    );
  };
  const buttons = prompts.pairs.map((_, i) => h("button", { type: "button", onclick: () => choose(i) }, `pair ${i + 1}`));
  const choose = (i) => {
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", i === j));
    show(i);
  };
  choose(0);
  return [
    h("p", { class: "soft" }, "Test prompts, in the whole model. Blue positive, red negative; the framed token is the last."),
    h("div", { class: "group", role: "group", "aria-label": "Pairs of prompts" }, buttons),
    body,
  ];
}
