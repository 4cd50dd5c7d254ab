// The tabs beside the graph: training, sizes, tasks, comparison.

import { lines } from "viewer/charts";
import * as circuits from "viewer/circuit";
import { load } from "viewer/data";
import { choice, count, fill, h, loss, number, percent } from "viewer/dom";
import * as state from "viewer/state";

/** Curves of one training run, chosen by the state's "training". */
export async function training(panel, run) {
  const id = run.trainings.includes(state.get("training")) ? state.get("training") : run.trainings[0];
  if (panel.dataset.shown === id) {
    return;
  }
  panel.dataset.shown = id;
  const { metrics, bigram_loss: bigram } = await load("training/" + id);
  if (panel.dataset.shown !== id) {
    return; // another one was chosen meanwhile
  }
  const curve = (name, of, dots) => ({ name, dots, points: metrics.map((line) => [line.step, of(line)]) });
  const statistics = (of) => (line) => (line.statistics ? of(line.statistics) : NaN);
  const terms = [...new Set(metrics.flatMap((line) => Object.keys(line.terms ?? {})))]; // of a bridge's loss
  const layers = Math.max(0, ...metrics.map((line) => line.statistics?.alive_neurons?.length ?? 0));
  fill(
    panel,
    choice("Model", run.trainings, id, (chosen) => state.set({ training: chosen })),
    h(
      "div",
      { class: "charts" },
      lines([curve("training", (line) => line.loss ?? NaN), curve("validation", (line) => line.validation_loss ?? NaN, true)], {
        title: terms.length > 0 ? "Loss (weighted sum of its terms) and validation loss" : "Loss (nats per token)",
        x: "step",
        y: "loss",
        marks: Number.isFinite(bigram) ? [["best bigram predictor", bigram]] : [],
      }),
      lines(
        [
          curve(
            "all",
            statistics((entry) => entry.nonzero),
            true,
          ),
          curve(
            "without embeddings",
            statistics((entry) => entry.nonzero_without_embeddings),
            true,
          ),
        ],
        { title: "L0: nonzero parameters", x: "step", y: "parameters", logY: true },
      ),
      terms.length > 0
        ? lines(
            terms.map((term) => curve(term.replaceAll("_", " "), (line) => line.terms?.[term] ?? NaN)),
            { title: "Terms of the bridge's loss", x: "step", y: "nats or NMSE", logY: true },
          )
        : null,
      lines([curve("learning rate", (line) => line.learning_rate)], { title: "Learning rate", x: "step", y: "rate", zero: true }),
      lines(
        Array.from({ length: layers }, (_, layer) =>
          curve(
            `layer ${layer}`,
            statistics((entry) => entry.alive_neurons?.[layer]),
            true,
          ),
        ),
        { title: "Alive MLP neurons", x: "step", y: "neurons", zero: true },
      ),
      lines([curve("pfrac", (line) => line.pfrac ?? NaN)], { title: "Nonzero budget (pfrac)", x: "step", y: "pfrac", logY: true }),
      lines([curve("kurtosis", (line) => line.final_residual_kurtosis ?? NaN, true)], {
        title: "Kurtosis of the final residual",
        x: "step",
        y: "kurtosis",
      }),
      lines([curve("gradient", (line) => line.gradient_rms ?? NaN)], {
        title: "Root mean square of the gradient",
        x: "step",
        y: "rms",
        logY: true,
      }),
      lines([curve("throughput", (line) => line.tokens_per_second)], { title: "Tokens per second", x: "step", y: "tokens/s", zero: true }),
    ),
    lastValues(metrics, bigram),
  );
}

/** What every metric was when it was last measured, the most important ones first. */
function lastValues(metrics, bigram) {
  const last = new Map();
  const note = (name, value, step) => {
    if (Array.isArray(value)) {
      value.forEach((entry, i) => note(`${name}, layer ${i}`, entry, step));
    } else if (value !== null && typeof value === "object") {
      Object.entries(value).forEach(([key, entry]) => note(name === "statistics" ? key : `${name}: ${key}`, entry, step));
    } else if (typeof value === "number") {
      last.set(name, [value, step]);
    }
  };
  metrics.forEach((line) => Object.entries(line).forEach(([name, value]) => note(name, value, line.step)));
  const important = ["validation_loss", "loss", "step", "tokens", "nonzero", "nonzero_without_embeddings"];
  const rank = (name) => (name.startsWith("alive_neurons") ? important.length : (important.indexOf(name) + 1 || important.length + 2) - 1);
  const rows = [...last.entries()].sort((a, b) => rank(a[0]) - rank(b[0]));
  if (Number.isFinite(bigram)) {
    rows.push(["bigram_loss", [bigram, null]]);
  }
  return rows.length === 0
    ? null
    : h(
        "table",
        { class: "grid numeric", id: "last-metrics" },
        h("caption", {}, "Every metric as it was last measured"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["metric", "value", "at step"].map((title) => h("th", { scope: "col" }, title)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map(([name, [value, step]]) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, name.replaceAll("_", " ")),
              h("td", {}, Number.isInteger(value) ? count(value) : number(value)),
              h("td", {}, step === null ? "–" : count(step)),
            ),
          ),
        ),
      );
}

/**
 * Edges and nodes against target loss: a colour per task, a dash per model, a dot per circuit, the curve through the geometric means over
 * seeds.
 */
export function sizes(panel, run) {
  const tasks = [...new Set(run.circuits.map((entry) => entry.task))];
  const models = [...new Set(run.circuits.map((entry) => entry.model))];
  const groups = [...Map.groupBy(run.circuits, (entry) => `${entry.model}, ${entry.task}`).entries()];
  const tell = (entry, value) => `${nameOf(entry)}: ${count(value)}${entry.solved === false ? `, ${entry.shortcoming}` : ""}`;
  const full = [...new Set(run.circuits.map((entry) => entry.measurements.loss_full_model))];
  const curves = (x, of, joined, all = groups) =>
    all.map(([name, members]) => ({
      name,
      colour: tasks.length > 1 ? tasks.indexOf(members[0].task) : models.indexOf(members[0].model),
      dash: tasks.length > 1 ? models.indexOf(members[0].model) : 0,
      dots: members.map((entry) => [x(entry), of(entry), tell(entry, of(entry)), entry.solved === false]),
      points: joined
        ? [...Map.groupBy(members, x).entries()].map(([at, same]) => [at, geometricMean(same.map(of))]).sort((a, b) => a[0] - b[0])
        : members.map((entry) => [x(entry), of(entry)]).sort((a, b) => a[0] - b[0]),
    }));
  const target = (entry) => entry.target_loss;
  const found = groups
    .map(([name, members]) => [name, members.filter((entry) => typeof entry.target_loss === "number")])
    .filter(([, members]) => members.length > 0);
  fill(
    panel,
    h(
      "p",
      { class: "soft" },
      "One dot per circuit of the run, hollow where the task is not solved; the line goes through the geometric mean over seeds. Smaller circuits at the same target loss are easier to read.",
    ),
    h(
      "div",
      { class: "charts" },
      found.length === 0
        ? null
        : lines(
            curves(target, (entry) => entry.edges, true, found),
            { title: "Edges against target loss", x: "target loss (nats)", y: "edges", logX: true, logY: true },
          ),
      found.length === 0
        ? null
        : lines(
            curves(target, (entry) => entry.nodes, true, found),
            { title: "Nodes against target loss", x: "target loss (nats)", y: "nodes", logX: true, logY: true },
          ),
      lines(
        curves(
          (entry) => entry.measurements.loss,
          (entry) => entry.edges,
          false,
        ),
        { title: "Edges against the loss reached on test prompts", x: "loss (nats)", y: "edges", logX: true, logY: true },
      ),
      lines(
        curves(
          (entry) => entry.nodes,
          (entry) => entry.measurements.loss,
          false,
        ),
        {
          title: "Loss reached against nodes",
          x: "nodes",
          y: "loss (nats)",
          logX: true,
          logY: true,
          marks: full.length === 1 ? [["full model", full[0]]] : [],
        },
      ),
    ),
  );
}

/** A circuit of a list in words. */
export const nameOf = (entry) =>
  `${entry.task} in ${entry.model}, ` +
  (typeof entry.target_loss === "number"
    ? `target ${number(entry.target_loss)}, seed ${entry.seed}`
    : [entry.sweep, entry.k && `k ${entry.k}`].filter(Boolean).join(", ") || entry.id);

/** Of edges or nodes; a circuit without any counts as one, as everywhere in this program. */
const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(Math.max(1, value)), 0) / values.length);

/** All circuits in numbers. */
export function overview(panel, run, open) {
  const rows = [...run.circuits].sort(
    (a, b) => a.task.localeCompare(b.task) || a.model.localeCompare(b.model) || a.target_loss - b.target_loss || a.nodes - b.nodes,
  );
  const met = run.circuits.filter((entry) => entry.solved);
  const means = [...Map.groupBy(met, (entry) => entry.target_loss).entries()]
    .sort((a, b) => a[0] - b[0])
    .map(
      ([target, members]) =>
        `target ${number(target)}: ` +
        [...Map.groupBy(members, (entry) => entry.model).entries()]
          .map(([model, same]) => `${model} ${number(geometricMean(same.map((entry) => entry.edges)))} (${same.length})`)
          .join(", "),
    );
  fill(
    panel,
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "grid numeric" },
        h("caption", {}, "Losses in nats on test prompts; click a task to see its circuit."),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            [
              "task",
              "model",
              "nodes",
              "edges",
              "full model",
              "circuit",
              "without it",
              "empty",
              "random circuits",
              "target",
              "",
              "accuracy",
              "seed",
              "folder",
            ].map((title) => h("th", { scope: "col", class: title === "model" || title === "folder" ? "words" : null }, title)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((entry) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, h("button", { type: "button", class: "reference", onclick: () => open(entry) }, entry.task)),
              h("td", { class: "words" }, entry.model),
              [
                count(entry.nodes),
                count(entry.edges),
                loss(entry.measurements.loss_full_model),
                loss(entry.measurements.loss),
                loss(entry.measurements.loss_without_circuit),
                loss(entry.measurements.loss_empty),
                loss(entry.measurements.loss_random_mean),
                number(entry.target_loss),
              ].map((value) => h("td", {}, value)),
              entry.solved === null
                ? h("td", {}, "imported")
                : h("td", { class: entry.solved ? "good" : "bad" }, entry.solved ? "solved" : entry.shortcoming),
              h("td", {}, percent(entry.measurements.accuracy)),
              h("td", {}, entry.seed ?? "–"),
              h("td", { class: "soft words" }, entry.id),
            ),
          ),
          run.unpruned.map((entry) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, entry.task),
              h("td", { colspan: 3 }, ""),
              h("td", {}, loss(entry.loss_full_model)),
              h("td", { colspan: 4 }, ""),
              h("td", {}, number(entry.target_loss)),
              h("td", { class: "bad", colspan: 2 }, entry.reason ?? "the model itself misses the target"),
              h("td", {}, String(entry.seed)),
              h("td", { class: "soft words" }, entry.folder),
            ),
          ),
        ),
      ),
    ),
    means.length > 0
      ? [
          h("h3", {}, "Edges of solved circuits, geometric mean (circuits)"),
          h(
            "ul",
            { class: "means" },
            means.map((line) => h("li", {}, line)),
          ),
        ]
      : null,
  );
}

/** The circuit on display beside another one; nodes and edges in both are marked. makeGraph: a Graph on an element. */
export async function compare(panel, run, circuit, makeGraph) {
  const others = run.circuits.filter((entry) => entry.id !== circuit.id);
  const other =
    others.find((entry) => entry.id === state.get("with")) ?? others.find((entry) => entry.task === circuit.circuit.task) ?? others[0];
  const shown = circuit.id + "\n" + other.id;
  if (panel.dataset.shown === shown) {
    return;
  }
  panel.dataset.shown = shown;
  const second = { id: other.id, entry: other, ...circuits.open(await load("circuit/" + other.id)) };
  if (panel.dataset.shown !== shown) {
    return;
  }
  const edgeKey = (edge) => `${edge.from.name} ${edge.to.name}`;
  const nodes = new Set([...circuit.nodes.keys()].filter((name) => second.nodes.has(name)));
  const secondEdges = new Set(second.edges.map(edgeKey));
  const edges = new Set(circuit.edges.map(edgeKey).filter((key) => secondEdges.has(key)));
  const title = ({ entry }) => nameOf(entry);
  const sides = [circuit, second].map((side) => ({
    side,
    element: h("div", { class: "canvas", id: "side:" + side.id, tabindex: "0", role: "application", "aria-label": title(side) }),
  }));
  const sameModel = circuit.circuit.model_fingerprint === second.circuit.model_fingerprint;
  fill(
    panel,
    choice(
      "Beside it",
      others.map((entry) => entry.id),
      other.id,
      (chosen) => state.set({ with: chosen }),
    ),
    h(
      "p",
      { id: "shared" },
      `Shared: ${count(nodes.size)} nodes and ${count(edges.size)} edges, of ${count(circuit.nodes.size)} and ${count(circuit.edges.length)} left, ${count(second.nodes.size)} and ${count(second.edges.length)} right.` +
        (sameModel ? "" : " The circuits are of different models: equal names mean nothing then."),
    ),
    h(
      "div",
      { class: "sides" },
      sides.map(({ side, element }) => h("div", { class: "side" }, h("h2", {}, title(side)), element)),
    ),
  );
  for (const { side, element } of sides) {
    const graph = makeGraph(element);
    graph.show(side);
    for (const node of side.nodes.values()) {
      graph.elements.get(node).classList.toggle("shared", nodes.has(node.name));
    }
    for (const edge of side.edges) {
      graph.lines.get(edge).classList.toggle("unshared", !edges.has(edgeKey(edge)));
    }
  }
}
