// Chooses a circuit of the run: by model, task, target loss and seed; imported ones by sweep and k.

import { fill, h } from "viewer/dom";

const KEYS = [
  ["model", "Model", (entry) => entry.model],
  ["task", "Task", (entry) => entry.task],
  ["target", "Target loss", (entry) => String(entry.target_loss ?? "none")],
  ["seed", "Seed", (entry) => String(entry.seed ?? "none")],
  ["sweep", "Sweep", (entry) => entry.sweep ?? "none"],
  ["k", "k", (entry) => entry.k ?? "none"],
  ["id", "Circuit", (entry) => entry.id],
];

/** Selects for every key in which the circuits differ; a change goes to the circuit that keeps most of the other choices. */
export function show(element, circuits, current, choose) {
  const seen = [];
  const selects = KEYS.filter(([key, , of]) => {
    const differs = new Set(circuits.map(of)).size > 1;
    // The folder is only asked for where the other keys do not tell circuits apart.
    const needed = key !== "id" || new Set(circuits.map((entry) => seen.map((known) => known(entry)).join("\n"))).size < circuits.length;
    seen.push(of);
    return differs && needed;
  });
  fill(
    element,
    selects.map(([key, title, of]) => {
      const values = [...new Set(circuits.map(of))].sort((a, b) => (key === "k" ? sizeOf(a) - sizeOf(b) : 0));
      const pick = (event) =>
        choose(
          closest(
            circuits,
            current,
            of,
            event.target.value,
            selects.map((entry) => entry[2]),
          ),
        );
      return h(
        "label",
        {},
        title + " ",
        h(
          "select",
          { id: "pick-" + key, onchange: pick },
          values.map((value) => h("option", { value, selected: of(current) === value }, value)),
        ),
      );
    }),
  );
}

/** Sizes by number, k_optim behind them. */
const sizeOf = (k) => (/^\d+$/.test(k) ? Number(k) : Number.MAX_VALUE);

function closest(circuits, current, of, value, all) {
  const score = (entry) => all.filter((key) => key(entry) === key(current)).length;
  return circuits.filter((entry) => of(entry) === value).sort((a, b) => score(b) - score(a))[0];
}
