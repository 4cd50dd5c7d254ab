// Small drawings of one node: histograms, text with a colour behind each token, attention patterns.

import { h, number, s } from "viewer/dom";
import { colourOf, extremes, repainting } from "viewer/scale";
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
 * Tokens with colours by value: blue above the middle of the scale, red below. focus: index of a token to frame. boxed: whether the largest
 * and the smallest value are boxed where they stand out.
 */
export function heatText(tokens, values, scale, { focus = -1, boxed = false } = {}) {
  const { largest, smallest } = boxed ? extremes(values) : { largest: -1, smallest: -1 };
  const told = (i) => (i === largest ? ", the largest here" : i === smallest ? ", the smallest here" : "");
  const spans = tokens.map((token, i) =>
    h("span", { title: `${token}: ${Number.isFinite(values[i]) ? number(values[i]) : "none"}${told(i)}` }, plain(token)),
  );
  return repainting(h("p", { class: "heat" }, spans), () =>
    spans.forEach((span, i) => {
      const { share, sign } = colourOf(values[i], scale);
      const classes = [
        sign === 0 ? "" : sign < 0 ? "warm negative" : "warm positive",
        i === focus ? "focus" : "",
        i === largest || i === smallest ? "extreme" : "",
      ].filter(Boolean);
      classes.length > 0 ? span.setAttribute("class", classes.join(" ")) : span.removeAttribute("class");
      sign === 0 ? span.removeAttribute("style") : span.style.setProperty("--share", round(share));
    }),
  );
}

/** Attention of every token (row) to those before it (column). */
export const attention = (tokens, rows) =>
  square(tokens, "each row: where a token looks", (i, j) =>
    rows[i][j] < 0.005 ? null : { kind: "cell", opacity: rows[i][j], text: `${tokens[i]} attends to ${tokens[j]}: ${number(rows[i][j])}` },
  );

/**
 * What one channel of a head does to its attention as if it were alone: the factor exp(q k / sqrt(d_head)) between every token (row) and
 * those before it (column), blue above 1, red below.
 */
export function channelAttention(tokens, query, key, headSize) {
  const score = (i, j) => (query[i] * key[j]) / Math.sqrt(headSize);
  let [low, high] = [0, 0];
  tokens.forEach((_, i) => {
    for (let j = 0; j <= i; j++) {
      low = Math.min(low, score(i, j));
      high = Math.max(high, score(i, j));
    }
  });
  const most = Math.max(-low, high);
  const [least, largest] = [low, high].map((value) => number(Number(Math.exp(value).toPrecision(3))));
  return square(tokens, `each row: the factor on where a token looks, ${least} to ${largest}; red below 1, blue above`, (i, j) => {
    const value = score(i, j);
    return most === 0 || Math.abs(value) / most < 0.005
      ? null
      : {
          kind: value < 0 ? "cell negative" : "cell",
          opacity: round(Math.abs(value) / most),
          text: `${tokens[i]} to ${tokens[j]}: times ${number(Math.exp(value))}`,
        };
  });
}

/** A cell for each token (row) and each token up to it (column). cellOf(i, j): { kind, opacity, text } or null for none. */
function square(tokens, caption, cellOf) {
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
        "aria-label": caption,
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
      tokens.map((_, i) =>
        tokens.slice(0, i + 1).map((_, j) => {
          const found = cellOf(i, j);
          return found
            ? s(
                "rect",
                { class: found.kind, x: left + j * cell, y: i * cell, width: cell, height: cell, "fill-opacity": found.opacity },
                s("title", {}, found.text),
              )
            : null;
        }),
      ),
    ),
    h("figcaption", { class: "soft" }, caption),
  );
}

const round = (value) => Math.round(value * 100) / 100;
