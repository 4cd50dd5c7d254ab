// Small drawings of one node: histograms, text with a colour behind each token, attention patterns.

import { h, number, s } from "viewer/dom";
import { plain } from "viewer/tokens";

/** Counts of equal bins between a minimum and a maximum, with lines at marks: [[name, value]]. */
export function histogram({ minimum, maximum, counts }, marks, title) {
  const width = 320;
  const height = 90;
  const most = Math.max(1, ...counts);
  const bar = width / counts.length;
  // Rare activations are what nodes are about: the square root keeps them visible beside the many zeros.
  const tall = (value) => Math.sqrt(value / most) * (height - 4);
  const at = (value) => (maximum === minimum ? width / 2 : ((value - minimum) / (maximum - minimum)) * width);
  return h(
    "figure",
    { class: "chart" },
    s(
      "svg",
      { viewBox: `0 0 ${width} ${height + 14}`, width, height: height + 14, role: "img", "aria-label": title },
      counts.map((value, i) =>
        s(
          "rect",
          {
            class: "bar",
            x: round(i * bar),
            y: round(height - tall(value)),
            width: round(Math.max(1, bar - 1)),
            height: round(tall(value)),
          },
          s(
            "title",
            {},
            `${number(minimum + (i * (maximum - minimum)) / counts.length)} to ${number(minimum + ((i + 1) * (maximum - minimum)) / counts.length)}: ${value}`,
          ),
        ),
      ),
      marks
        .filter(([, value]) => Number.isFinite(value))
        .map(([name, value]) =>
          s(
            "line",
            { class: "mark", x1: round(at(value)), x2: round(at(value)), y1: 0, y2: height },
            s("title", {}, `${name} ${number(value)}`),
          ),
        ),
      s("text", { class: "tick", x: 0, y: height + 12 }, number(minimum)),
      s("text", { class: "tick", x: width, y: height + 12, "text-anchor": "end" }, number(maximum)),
    ),
    h("figcaption", { class: "soft" }, title),
  );
}

/**
 * Tokens with colours by value: blue positive, red negative, as strong as the value against the largest. focus: index of a token to frame.
 */
export function heatText(tokens, values, largest, focus) {
  const most = largest ?? Math.max(...values.map(Math.abs), 0);
  return h(
    "p",
    { class: "heat" },
    tokens.map((token, i) => {
      const share = most > 0 && Number.isFinite(values[i]) ? Math.min(1, Math.abs(values[i]) / most) : 0;
      const kind = share < 0.01 ? "" : values[i] < 0 ? "warm negative" : "warm positive";
      return h(
        "span",
        {
          class: `${kind}${i === focus ? " focus" : ""}`.trim() || null,
          style: kind ? `--share:${round(share)}` : null,
          title: `${token}: ${Number.isFinite(values[i]) ? number(values[i]) : "none"}`,
        },
        plain(token),
      );
    }),
  );
}

/** Attention of every token (row) to those before it (column). */
export function attention(tokens, rows) {
  const cell = Math.max(4, Math.min(13, Math.floor(250 / tokens.length)));
  const labelled = cell >= 9;
  const left = labelled ? 70 : 4;
  const side = tokens.length * cell;
  return h(
    "figure",
    { class: "chart" },
    s(
      "svg",
      {
        viewBox: `0 0 ${left + side + 4} ${side + 4}`,
        width: left + side + 4,
        height: side + 4,
        role: "img",
        "aria-label": "attention pattern, a row per token",
      },
      s("rect", { class: "bar-ground", x: left, y: 0, width: side, height: side }),
      labelled
        ? tokens.map((token, i) =>
            s(
              "text",
              { class: "tick", x: left - 4, y: (i + 0.8) * cell, "text-anchor": "end" },
              plain(token).replace("\n", "").slice(0, 9),
            ),
          )
        : null,
      rows.map((row, i) =>
        row.map((weight, j) =>
          weight < 0.005
            ? null
            : s(
                "rect",
                { class: "cell", x: left + j * cell, y: i * cell, width: cell, height: cell, "fill-opacity": weight },
                s("title", {}, `${tokens[i]} attends to ${tokens[j]}: ${number(weight)}`),
              ),
        ),
      ),
    ),
    h("figcaption", { class: "soft" }, "each row: where a token looks"),
  );
}

const round = (value) => Math.round(value * 100) / 100;
