// The tab of embeddings: what tokens write into any residual channel, into those of the circuit, and what positions write.

import { count, fill, h, number, signed } from "viewer/dom";
import { histogram } from "viewer/plots";
import * as state from "viewer/state";
import { embeddingOf } from "viewer/statistics";

const MAP_WIDTH = 1024; // pixels of the map of positions, or somewhat less
const LARGEST_CELL = 6;

/** The circuit's channels in a table, and one channel of the model, chosen by the state's "channel". */
export async function embeddings(panel, circuit) {
  if (panel.dataset.shown !== circuit.id) {
    panel.dataset.shown = circuit.id;
    const any = h("div", { id: "any-channel" });
    const positions = h("div", { id: "positions" });
    fill(panel, any, table(circuit), positions);
    const model = await embeddingOf(circuit);
    if (panel.dataset.shown !== circuit.id || !model) {
      return; // another circuit was chosen meanwhile; or its model is not known
    }
    panel.showChannel = () => showChannel(any, model, circuit);
    fill(positions, model.positions ? positionMap(model.positions) : null);
  }
  panel.showChannel?.();
}

/** Which tokens write one channel: how many, the strongest, and a histogram. */
function showChannel(element, model, circuit) {
  const channels = Object.keys(circuit.channels ?? {});
  const wanted = Number(state.get("channel", channels[0] ?? "0"));
  const channel = Number.isInteger(wanted) && model.channels[wanted] ? wanted : 0;
  if (element.dataset.channel === String(channel)) {
    return;
  }
  element.dataset.channel = channel;
  const { writers, top, bottom, histogram: counts } = model.channels[channel];
  const set = (value) => state.set({ channel: value });
  const input = h("input", {
    type: "number",
    id: "channel",
    min: 0,
    max: model.channels.length - 1,
    value: channel,
    onchange: () => set(input.value),
  });
  const hadFocus = document.activeElement?.id === "channel";
  const list = (title, entries) =>
    h(
      "div",
      {},
      h("h4", {}, title),
      h(
        "ol",
        { class: "tokens" },
        entries.map(([token, weight]) =>
          h("li", {}, h("code", {}, model.tokens[token]), " ", h("span", { class: "soft" }, signed(weight))),
        ),
      ),
    );
  fill(
    element,
    h("h3", {}, "Any residual channel"),
    h(
      "p",
      {},
      h("label", {}, "Channel ", input),
      ` of 0 to ${count(model.channels.length - 1)}. `,
      h("span", { id: "writers" }, `${count(writers)} of ${count(model.vocabulary)} tokens write it.`),
    ),
    h(
      "div",
      { class: "channel" },
      list("most positive", top),
      list("most negative", bottom),
      counts
        ? histogram(counts, [["zero", 0]], `what tokens write into channel ${channel}, zeros left out; heights are square roots of counts`)
        : null,
    ),
  );
  if (hadFocus) {
    document.getElementById("channel").focus();
  }
}

/** The channels that the circuit reads or writes. */
function table(circuit) {
  const channels = Object.entries(circuit.channels ?? {});
  const cells = (list) =>
    h(
      "td",
      {},
      list.map((entry) => [h("code", { title: signed(entry.weight) }, entry.token), " "]),
    );
  const uses = (channel) =>
    [...circuit.nodes.values()]
      .filter((node) => node.kind.lane && node.channel === Number(channel))
      .map((node) => node.name)
      .join(", ");
  return channels.length === 0
    ? h("p", { class: "soft" }, "not recorded: the circuit's model was not found when this page was made")
    : h(
        "div",
        { class: "scroll" },
        h("h3", {}, "Channels of the circuit"),
        h(
          "table",
          { class: "grid" },
          h(
            "caption",
            {},
            "The 20 tokens whose embeddings are largest in a residual channel, and the 20 that are smallest; point at one for its number.",
          ),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["channel", "nodes", "top 20", "bottom 20"].map((title) => h("th", { scope: "col" }, title)),
            ),
          ),
          h(
            "tbody",
            {},
            channels.map(([channel, entry]) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, channel),
                h("td", { class: "names" }, uses(channel)),
                cells(entry.top),
                cells(entry.bottom),
              ),
            ),
          ),
        ),
      );
}

/** A row of pixels per position, a column per channel. */
function positionMap({ positions, channels, concatenated, largest, levels }) {
  const bytes = Int8Array.from(atob(levels), (letter) => letter.charCodeAt(0));
  const cell = Math.max(1, Math.min(LARGEST_CELL, Math.floor(MAP_WIDTH / channels)));
  const canvas = h("canvas", {
    width: channels * cell,
    height: positions * cell,
    role: "img",
    "aria-label": `position embeddings, ${positions} positions, ${channels} channels`,
  });
  const told = h("output", { class: "soft" }, "Point at it for its numbers.");
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const channel = Math.floor(((event.clientX - box.left) / box.width) * channels);
    const position = Math.floor(((event.clientY - box.top) / box.height) * positions);
    const level = bytes[position * channels + channel];
    if (level !== undefined) {
      told.textContent = `Position ${position}, channel ${channel}: about ${number(Number((Math.sign(level) * (level / 127) ** 2 * largest).toPrecision(2)))}`;
    }
  });
  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const [positive, negative] = ["--positive", "--negative"].map((name) => style.getPropertyValue(name).trim());
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    bytes.forEach((level, i) => {
      if (level !== 0) {
        context.globalAlpha = Math.abs(level) / 127;
        context.fillStyle = level > 0 ? positive : negative;
        context.fillRect((i % channels) * cell, Math.floor(i / channels) * cell, cell, cell);
      }
    });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return [
    h("h3", {}, "Position embeddings"),
    h(
      "p",
      { class: "soft" },
      `A row per position from 0, a column per ${concatenated ? "position channel" : "residual channel"} from 0. Blue positive, red negative, to ${number(Number(largest.toPrecision(3)))}; colours are as strong as the square root.`,
    ),
    h("div", { class: "scroll" }, canvas),
    told,
  ];
}
