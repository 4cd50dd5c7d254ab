// How to read the drawing of a circuit: a sample of everything in it.

import { h, s } from "viewer/dom";

export function legend() {
  const sample = (...shapes) => s("svg", { class: "graph sample", width: 40, height: 18, "aria-hidden": "true" }, shapes);
  const line = (kind) => s("path", { class: kind, d: "M3 9H37", "stroke-width": kind.startsWith("link") ? null : 3 });
  const node = (r) =>
    s(
      "g",
      { class: "node" },
      s("circle", { class: "shape", cx: 20, cy: 9, r: 6 }),
      r ? s("circle", { class: "effect", cx: 20, cy: 9, r }) : null,
    );
  const rows = [
    [node(0), "a node; its number is its channel"],
    [node(4.5), "the larger its dot, the more the loss rises without it"],
    [
      s("g", { class: "embedding" }, s("rect", { class: "shape", x: 15, y: 4, width: 10, height: 10 })),
      "embedding of a residual channel, and the tokens that write it most",
    ],
    [
      s("g", { class: "logit" }, s("rect", { class: "shape", x: 15, y: 4, width: 10, height: 10, transform: "rotate(45 20 9)" })),
      "logit of an answer",
    ],
    [
      [
        s("rect", { class: "box", x: 3, y: 1, width: 34, height: 16, rx: 3 }),
        ["q", "k", "v"].map((part, i) => s("text", { class: "box-part", x: 7 + 10 * i, y: 13 }, part)),
      ],
      "an attention head: queries and keys choose where values are taken from",
    ],
    [line("edge positive"), "positive weight, wider the larger (or the more the loss rises without it: widths by effect)"],
    [line("edge negative"), "negative weight"],
    [
      s(
        "g",
        { class: "node" },
        s("path", { class: "bias positive", d: "M10 17L16 12", "stroke-width": 3 }),
        s("circle", { class: "shape", cx: 20, cy: 8, r: 6 }),
      ),
      "a bias, coloured and wide like a weight; not counted",
    ],
    [
      s("text", { class: "mark-sample", x: 15, y: 14 }, "●"),
      "beside a row: without this attention or MLP the loss rises by more than 0.3 nats",
    ],
    [line("link"), "the same residual channel, written and read"],
    [line("readout"), "what a channel adds to an answer's logit"],
  ];
  return h(
    "ul",
    { class: "key" },
    rows.map(([shapes, text]) => h("li", {}, sample(shapes), h("span", {}, text))),
  );
}
