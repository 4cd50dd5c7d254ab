// The tabs beside the graph: training, sizes, tasks, embeddings, comparison.

import * as circuits from "viewer/circuit";
import { load } from "viewer/data";
import { count, fill, h, loss, number, percent, signed } from "viewer/dom";
import { lines } from "viewer/plots";
import * as state from "viewer/state";

/** Curves of one training run, chosen by the state's "training". */
export async function training(panel, run) {
  const id = run.trainings.includes(state.get("training")) ? state.get("training") : run.trainings[0];
  if (panel.dataset.shown === id) {
    return;
  }
  panel.dataset.shown = id;
  const { metrics, bigram_loss: bigram } = await load("training/" + id);
  const curve = (name, of, dots) => ({ name, dots, points: metrics.map((line) => [line.step, of(line)]) });
  const statistics = (of) => (line) => (line.statistics ? of(line.statistics) : NaN);
  const layers = Math.max(0, ...metrics.map((line) => line.statistics?.alive_neurons?.length ?? 0));
  fill(panel,
    choice("Model", run.trainings, id, (chosen) => state.set({ training: chosen })),
    h("div", { class: "charts" },
      lines([curve("training", (line) => line.loss ?? NaN), curve("validation", (line) => line.validation_loss ?? NaN, true)],
        { title: "Loss (nats per token)", x: "step", y: "loss", mark: Number.isFinite(bigram) ? ["best bigram predictor", bigram] : null }),
      lines([curve("all", statistics((entry) => entry.nonzero), true), curve("without embeddings", statistics((entry) => entry.nonzero_without_embeddings), true)],
        { title: "L0: nonzero parameters", x: "step", y: "parameters", logY: true }),
      lines([curve("learning rate", (line) => line.learning_rate)], { title: "Learning rate", x: "step", y: "rate", zero: true }),
      lines(Array.from({ length: layers }, (_, layer) => curve(`layer ${layer}`, statistics((entry) => entry.alive_neurons?.[layer]), true)),
        { title: "Alive MLP neurons", x: "step", y: "neurons", zero: true }),
      lines([curve("pfrac", (line) => line.pfrac ?? NaN)], { title: "Nonzero budget (pfrac)", x: "step", y: "pfrac", logY: true }),
      lines([curve("kurtosis", (line) => line.final_residual_kurtosis ?? NaN, true)], { title: "Kurtosis of the final residual", x: "step", y: "kurtosis" }),
      lines([curve("gradient", (line) => line.gradient_rms ?? NaN)], { title: "Root mean square of the gradient", x: "step", y: "rms", logY: true }),
      lines([curve("throughput", (line) => line.tokens_per_second)], { title: "Tokens per second", x: "step", y: "tokens/s", zero: true })));
}

/** Edges against target loss, a curve per model and task. */
export function sizes(panel, run) {
  const groups = [...Map.groupBy(run.circuits, (entry) => `${entry.model}, ${entry.task}`).entries()];
  const curve = ([name, members], of) => ({
    name, dots: true,
    points: members.map((entry) => [entry.target_loss, of(entry), `${name}: target ${number(entry.target_loss)}${entry.meets_target ? "" : " (not met)"}, ${count(of(entry))}`]).sort((a, b) => a[0] - b[0]),
  });
  fill(panel,
    h("p", { class: "soft" }, "One point per circuit of the run. Smaller circuits at the same target loss are easier to read."),
    h("div", { class: "charts" },
      lines(groups.map((group) => curve(group, (entry) => entry.edges)), { title: "Edges against target loss", x: "target loss (nats)", y: "edges", logX: true, logY: true }),
      lines(groups.map((group) => curve(group, (entry) => entry.nodes)), { title: "Nodes against target loss", x: "target loss (nats)", y: "nodes", logX: true, logY: true }),
      lines(groups.map(([name, members]) => ({ name, dots: true, points: members.map((entry) => [entry.measurements.loss, entry.edges]).sort((a, b) => a[0] - b[0]) })),
        { title: "Edges against the loss reached on test prompts", x: "loss (nats)", y: "edges", logX: true, logY: true })));
}

/** All circuits in numbers. */
export function overview(panel, run, open) {
  const rows = [...run.circuits].sort((a, b) => a.task.localeCompare(b.task) || a.model.localeCompare(b.model) || a.target_loss - b.target_loss);
  const geometric = [...Map.groupBy(run.circuits.filter((entry) => entry.meets_target && entry.edges > 0), (entry) => entry.model).entries()]
    .map(([model, members]) => `${model}: ${number(Math.exp(members.reduce((sum, entry) => sum + Math.log(entry.edges), 0) / members.length))} edges over ${members.length}`);
  fill(panel,
    h("div", { class: "scroll" }, h("table", { class: "grid" },
      h("caption", {}, "Losses in nats on test prompts."),
      h("thead", {}, h("tr", {}, ["task", "model", "nodes", "edges", "full model", "circuit", "without it", "empty", "random circuits", "target", "", "accuracy", "seed"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.map((entry) => h("tr", {},
        h("th", { scope: "row" }, h("button", { type: "button", class: "reference", onclick: () => open(entry) }, entry.task)),
        [entry.model, count(entry.nodes), count(entry.edges), loss(entry.measurements.loss_full_model), loss(entry.measurements.loss), loss(entry.measurements.loss_without_circuit),
          loss(entry.measurements.loss_empty), loss(entry.measurements.loss_random_mean), number(entry.target_loss)].map((value) => h("td", {}, value)),
        h("td", { class: entry.meets_target ? "good" : "bad" }, entry.meets_target ? "met" : "not met"),
        h("td", {}, percent(entry.measurements.accuracy)), h("td", {}, String(entry.seed)))),
        run.unpruned.map((entry) => h("tr", {}, h("th", { scope: "row" }, entry.task), h("td", {}, entry.folder), h("td", { colspan: 2 }, ""), h("td", {}, loss(entry.loss_full_model)), h("td", { colspan: 4 }, ""),
          h("td", {}, number(entry.target_loss)), h("td", { class: "bad", colspan: 2 }, entry.reason ?? "the model itself misses the target"), h("td", {}, String(entry.seed))))))),
    geometric.length > 0 ? h("p", {}, "Geometric mean of circuits that met their target: " + geometric.join("; ") + ".") : null);
}

/** Which tokens write the residual channels of the circuit on display. */
export function embeddings(panel, circuit) {
  const channels = Object.entries(circuit.channels ?? {});
  const cells = (list) => h("td", {}, list.map((entry) => [h("code", { title: signed(entry.weight) }, entry.token), " "]));
  const uses = (channel) => [...circuit.nodes.values()].filter((node) => node.kind.lane && node.channel === Number(channel)).map((node) => node.name).join(", ");
  fill(panel, channels.length === 0 ? h("p", { class: "soft" }, "not recorded: the circuit's model was not found when this page was made") : h("div", { class: "scroll" }, h("table", { class: "grid" },
    h("caption", {}, "The 20 tokens whose embeddings are largest in a residual channel, and the 20 that are smallest; point at one for its number."),
    h("thead", {}, h("tr", {}, ["channel", "nodes", "top 20", "bottom 20"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, channels.map(([channel, entry]) => h("tr", {}, h("th", { scope: "row" }, channel), h("td", { class: "names" }, uses(channel)), cells(entry.top), cells(entry.bottom)))))));
}

/** The circuit on display beside another one; nodes and edges in both are marked. makeGraph: a Graph on an element. */
export async function compare(panel, run, circuit, makeGraph) {
  const others = run.circuits.filter((entry) => entry.id !== circuit.id);
  const other = others.find((entry) => entry.id === state.get("with")) ?? others.find((entry) => entry.task === circuit.circuit.task) ?? others[0];
  const shown = circuit.id + "\n" + other.id;
  if (panel.dataset.shown === shown) {
    return;
  }
  panel.dataset.shown = shown;
  const second = { id: other.id, ...circuits.open(await load("circuit/" + other.id)) };
  const edgeKey = (edge) => `${edge.from.name} ${edge.to.name}`;
  const nodes = new Set([...circuit.nodes.keys()].filter((name) => second.nodes.has(name)));
  const secondEdges = new Set(second.edges.map(edgeKey));
  const edges = new Set(circuit.edges.map(edgeKey).filter((key) => secondEdges.has(key)));
  const sides = [circuit, second].map((entry) => ({ entry, element: h("div", { class: "canvas", id: "side:" + entry.id, tabindex: "0", role: "application", "aria-label": `${entry.circuit.task} in ${entry.circuit.model}` }) }));
  const sameModel = circuit.circuit.model_fingerprint === second.circuit.model_fingerprint;
  fill(panel,
    choice("Beside it", others.map((entry) => entry.id), other.id, (chosen) => state.set({ with: chosen })),
    h("p", { id: "shared" }, `Shared: ${count(nodes.size)} nodes and ${count(edges.size)} edges, of ${count(circuit.nodes.size)} and ${count(circuit.edges.length)} left, ${count(second.nodes.size)} and ${count(second.edges.length)} right.`
      + (sameModel ? "" : " The circuits are of different models: equal names mean nothing then.")),
    h("div", { class: "sides" }, sides.map(({ entry, element }) => h("div", { class: "side" }, h("h2", {}, `${entry.circuit.task} in ${entry.circuit.model}`), element))));
  for (const { entry, element } of sides) {
    const graph = makeGraph(element);
    graph.show(entry);
    for (const node of entry.nodes.values()) {
      graph.elements.get(node).classList.toggle("shared", nodes.has(node.name));
    }
    for (const edge of entry.edges) {
      graph.lines.get(edge).classList.toggle("unshared", !edges.has(edgeKey(edge)));
    }
  }
}

/** Reports of faithfulness and of steering over bridges, chosen by the state's "report": curves where there are points, and every number in tables. */
export async function reports(panel, run) {
  const id = run.reports.includes(state.get("report")) ? state.get("report") : run.reports[0];
  if (panel.dataset.shown === id) {
    return;
  }
  panel.dataset.shown = id;
  const report = await load("report/" + id);
  const points = report.points?.filter?.((point) => Number.isFinite(point.strength) && point.dense) ?? [];
  const curve = (name, of) => ({ name, dots: true, points: points.map((point) => [point.strength, of(point)]) });
  fill(panel,
    choice("Report", run.reports, id, (chosen) => state.set({ report: chosen })),
    report.verdict ? h("p", { class: "verdict" }, String(report.verdict)) : null,
    points.length > 0 ? lines([curve("dense model, steered over the bridge", (point) => point.dense.counterfactual), curve("sparse model, same node", (point) => point.sparse?.counterfactual ?? NaN),
      curve("random directions, mean", (point) => point.random?.counterfactual ?? NaN), curve("random directions, highest", (point) => point.random_high ?? NaN)],
      { title: "Probability of the counterfactual answer", x: "strength", y: "probability", zero: true }) : null,
    table(report));
}

/** Any JSON as tables: a list of objects has a row for each, an object a row per field. */
function table(value) {
  if (value === null || typeof value !== "object") {
    return typeof value === "number" ? number(value) : String(value ?? "–");
  }
  if (Array.isArray(value) && value.length > 0 && value.every((entry) => entry !== null && typeof entry === "object" && !Array.isArray(entry))) {
    const fields = [...new Set(value.flatMap((entry) => Object.keys(entry)))];
    return h("table", { class: "grid" }, h("thead", {}, h("tr", {}, fields.map((field) => h("th", { scope: "col" }, words(field))))),
      h("tbody", {}, value.map((entry) => h("tr", {}, fields.map((field) => h("td", {}, table(entry[field])))))));
  }
  if (Array.isArray(value)) {
    return value.map((entry) => (typeof entry === "number" ? number(entry) : JSON.stringify(entry))).join(", ");
  }
  return h("table", { class: "grid" }, h("tbody", {}, Object.entries(value).map(([field, entry]) => h("tr", {}, h("th", { scope: "row" }, words(field)), h("td", {}, table(entry))))));
}

const words = (field) => field.replaceAll("_", " ");

function choice(title, values, current, choose) {
  return h("p", {}, h("label", {}, title + " ", h("select", { onchange: (event) => choose(event.target.value) }, values.map((value) => h("option", { value, selected: value === current }, value)))));
}
