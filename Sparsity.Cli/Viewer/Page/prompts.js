// What a node does in every prompt of the task: pair by pair both prompts and their difference, and where its head looks.

import { fill, h } from "viewer/dom";
import { headOf } from "viewer/names";
import { attention, channelAttention, heatText } from "viewer/plots";
import { scaleBar, scaleOf, scaleSwitch } from "viewer/scale";

const OTHER = { q: "k", k: "q" };

/** The pairs of prompts for one node; null where its activations are not there. */
export function pairs(prompts, node, circuit) {
  const values = prompts.activations[node.name];
  if (!values) {
    return null;
  }
  const scale = scaleOf(values.flat(2));
  const differences = values.map(difference);
  const change = scaleOf(differences.flat(), true);
  return [
    h(
      "p",
      { class: "soft" },
      `${prompts.pairs.length} pairs of test prompts, the shortest first, in the whole model. A box: the largest or the smallest activation, where it is 0.2 standard deviations beyond the next. Dashed: the last token, after which the answer follows.`,
    ),
    h("p", { class: "scales" }, scaleBar(scale, "colours"), scaleSwitch(), scaleBar(change, "difference")),
    prompts.pairs.map((pair, i) =>
      h(
        "section",
        { class: "pair", "aria-label": `pair ${i + 1}` },
        h(
          "div",
          { class: "cells" },
          cell(`${i + 1}, class 1: answer ${pair.answer_a}`, pair.first, values[i][0], scale, true),
          cell(`${i + 1}, class 2: answer ${pair.answer_b}`, pair.second, values[i][1], scale, true),
          cell("class 2 minus class 1", pair.second, differences[i], change, false),
        ),
        node.kind.head ? attentionOf(prompts, i, node, circuit) : null,
      ),
    ),
  ];
}

const cell = (title, tokens, values, scale, boxed) =>
  h("div", {}, h("h4", {}, title), heatText(tokens, values, scale, { focus: tokens.length - 1, boxed }));

/** The answers are read at the last tokens: prompts are compared from their ends. */
function difference([first, second]) {
  const shift = second.length - first.length;
  return second.map((value, at) => (first[at - shift] === undefined ? NaN : value - first[at - shift]));
}

/** Drawn when it is opened: the attention of the node's head in both prompts, and for a query or key what its channel does alone. */
function attentionOf(prompts, i, node, circuit) {
  const head = headOf(node, circuit.model);
  const pattern = prompts.heads.find((entry) => entry.layer === node.layer && entry.head === head)?.patterns[i];
  const channel = channelOf(prompts, i, node);
  if (!pattern && !channel) {
    return null;
  }
  const body = h("div", {});
  const { first, second } = prompts.pairs[i];
  const sides = (title, of) =>
    h(
      "div",
      { class: "cells" },
      [first, second].map((tokens, side) => h("div", {}, h("h4", {}, `${title}, class ${side + 1}`), of(tokens, side))),
    );
  const draw = () =>
    fill(
      body,
      pattern
        ? sides(`head ${head}`, (tokens, side) => [
            heatText(tokens, pattern[side].at(-1), { low: 0, high: 1, zeroCentred: true }, { focus: tokens.length - 1 }),
            attention(tokens, pattern[side]),
          ])
        : h("p", { class: "soft" }, "The head's attention is recorded for the first pairs only."),
      channel
        ? sides(`channel ${node.channel} alone`, (tokens, side) =>
            channelAttention(tokens, channel.query[side], channel.key[side], circuit.model.d_head),
          )
        : null,
    );
  const details = h(
    "details",
    { class: "attention", ontoggle: () => details.open && !body.firstChild && draw(), open: i === 0 },
    h("summary", {}, pattern ? `where head ${head} looks` : `what channel ${node.channel} does alone`),
    body,
  );
  if (i === 0) {
    draw();
  }
  return details;
}

/** The activations of a query's or key's channel on both sides, in both prompts: { query, key }; null for values. */
function channelOf(prompts, i, node) {
  const part = node.kind.head;
  if (!OTHER[part]) {
    return null;
  }
  const own = prompts.activations[node.name]?.[i];
  const other = prompts.activations[counterpart(node)]?.[i];
  return own && other ? (part === "q" ? { query: own, key: other } : { query: other, key: own }) : null;
}

const counterpart = (node) => node.name.replace(`.${node.kind.head}.`, `.${OTHER[node.kind.head]}.`);
