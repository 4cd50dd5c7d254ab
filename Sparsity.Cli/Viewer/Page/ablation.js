// Live ablation: switch nodes off or scale them, and see what the model then answers, computed by the server's engine.

import { post } from "viewer/data";
import { fill, h, loss, number, percent, signed } from "viewer/dom";
import * as state from "viewer/state";
import { reference } from "viewer/summary";
import { compact } from "viewer/tokens";

/** Scales of the nodes that are edited, from the state: { name: scale }. */
export function scales() {
  const text = state.get("scales");
  return text
    ? Object.fromEntries(
        text
          .split(",")
          .map((part) => part.split("*"))
          .map(([name, scale]) => [name, Number(scale)]),
      )
    : {};
}

/** Sets the scale of a node; 1 takes the edit back. */
export function setScale(name, scale) {
  const all = { ...scales(), [name]: scale };
  state.set({
    scales: Object.entries(all)
      .filter(([, value]) => value !== 1 && Number.isFinite(value))
      .map(([key, value]) => `${key}*${value}`)
      .join(","),
  });
}

/** The section of a node's panel: a switch and a scale. */
export function controls(node) {
  const scale = scales()[node.name] ?? 1;
  const input = h("input", {
    type: "number",
    id: "scale",
    step: "0.25",
    min: "-100",
    max: "100",
    value: scale,
    onchange: () => setScale(node.name, Number(input.value)),
  });
  return h(
    "section",
    {},
    h("h3", {}, "Live"),
    h(
      "div",
      { class: "label-editor" },
      h(
        "button",
        { type: "button", id: "switch", "aria-pressed": scale === 0, onclick: () => setScale(node.name, scale === 0 ? 1 : 0) },
        scale === 0 ? "Switch on" : "Switch off",
      ),
      h("label", { for: "scale" }, "scale"),
      input,
    ),
    h("p", { class: "soft" }, "0 freezes the node at its mean, 1 leaves it."),
  );
}

/** Keeps the bar below the toolbar up to date. select: called with a node picked there. */
export class AblationBar {
  constructor(element, select) {
    this.element = element;
    this.select = select;
    this.running = null;
  }

  /** Asks anew when the edits, what they are made to, or the circuit changed. */
  async update(circuit) {
    const edits = scales();
    const base = state.get("base", "circuit");
    const question = JSON.stringify([circuit.id, base, edits]);
    if (Object.keys(edits).length === 0) {
      this.running?.abort();
      this.question = null;
      this.element.hidden = true;
      fill(this.element);
      return;
    }
    if (question === this.question) {
      return;
    }
    this.question = question;
    this.running?.abort();
    this.running = new AbortController();
    this.element.hidden = false;
    this.element.setAttribute("aria-busy", "true");
    if (!this.element.firstChild) {
      fill(this.element, h("p", { class: "soft" }, "computing…"));
    }
    try {
      const answer = await post("ablation", { circuit: circuit.id, of: base, scales: edits }, this.running.signal);
      if (question === this.question) {
        this.show(circuit, base, edits, answer);
      }
    } catch (error) {
      if (error.name !== "AbortError" && question === this.question) {
        this.question = null;
        fill(this.element, this.editList(circuit, base, edits), h("p", { class: "bad" }, error.message));
      }
    } finally {
      if (question === this.question || this.question === null) {
        this.element.removeAttribute("aria-busy");
      }
    }
  }

  editList(circuit, base, edits) {
    const choose = (value) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "base",
          checked: base === value,
          onchange: () => state.set({ base: value === "circuit" ? null : value }),
        }),
        value === "circuit" ? " in the circuit" : " in the whole model",
      );
    return h(
      "div",
      { class: "edits" },
      Object.entries(edits).map(([name, scale]) => {
        const node = circuit.nodes.get(name);
        return h(
          "span",
          { class: "edit" },
          node ? reference(node, { select: this.select }) : name,
          scale === 0 ? " off" : ` × ${number(scale)}`,
          h("button", { type: "button", "aria-label": `take back the edit of ${name}`, onclick: () => setScale(name, 1) }, "×"),
        );
      }),
      choose("circuit"),
      choose("model"),
      h("button", { type: "button", onclick: () => state.set({ scales: null }) }, "Reset"),
    );
  }

  show(circuit, base, edits, answer) {
    const { edited, unedited } = answer;
    const tile = (title, before, now, change, id) =>
      h(
        "div",
        { class: "tile" },
        h("dt", {}, title),
        h("dd", {}, h("span", { id: id && `${id}-before` }, before), " → ", h("strong", { id: id && `${id}-now` }, now)),
        h("dd", { class: "soft" }, change),
      );
    const share = (title, of) => tile(title, percent(of(unedited)), percent(of(edited)), points(of(edited) - of(unedited)));
    fill(
      this.element,
      this.editList(circuit, base, edits),
      h(
        "div",
        { class: "live" },
        h(
          "dl",
          { class: "tiles" },
          tile(
            "task loss",
            loss(unedited.loss),
            loss(edited.loss),
            `${signed(rounded(edited.loss - unedited.loss))} nats, ${answer.pairs} pairs`,
            "live",
          ),
          h("div", { class: "tile" }, h("dt", {}, "circuit.json says"), predicted(circuit, base, edits, answer.stored)),
          share("accuracy", (entry) => entry.accuracy),
          share("P(first answer | first prompt)", (entry) => entry.probability_a),
          share("P(second answer | second prompt)", (entry) => entry.probability_b),
        ),
        h(
          "ul",
          { class: "prompts", "aria-label": "Probability of the right answer" },
          answer.prompts.map((prompt) =>
            h(
              "li",
              { title: prompt.text },
              h("code", {}, tail(prompt.text)),
              " ",
              h("code", { class: "answer" }, compact(prompt.answer)),
              ` ${percent(prompt.before)} → ${percent(prompt.after)}`,
            ),
          ),
        ),
      ),
    );
  }
}

/** The loss that the circuit recorded, and what it says of freezing these nodes: effects are recorded one by one, in the circuit. */
function predicted(circuit, base, edits, stored) {
  const effects = Object.entries(edits).map(([name, scale]) =>
    scale === 0 && base === "circuit" ? (circuit.nodes.get(name)?.data.ablation_effect ?? null) : null,
  );
  const known = !effects.includes(null);
  const effect = effects.reduce((sum, value) => sum + value, 0);
  return [
    h("dd", { id: "live-stored" }, loss(stored), known ? [" → ", h("strong", { id: "live-predicted" }, loss(stored + effect))] : null),
    h(
      "dd",
      { class: "soft" },
      !known
        ? "effect not recorded"
        : effects.length > 1
          ? `${signed(rounded(effect))}, the effects' sum`
          : `${signed(rounded(effect))} nats, first pairs`,
    ),
  ];
}

const rounded = (value) => Number(value.toPrecision(3));

const points = (change) => `${signed(Number((100 * change).toFixed(1)))} points`;

const tail = (text) => (text.length > 44 ? "…" + text.slice(-43) : text).replaceAll("\n", "↵");
