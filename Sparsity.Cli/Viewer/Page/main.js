// Puts the page together: which circuit is shown, its header, the graph and its tools, and the tabs.

import * as ablation from "viewer/ablation";
import * as circuits from "viewer/circuit";
import { load } from "viewer/data";
import { count, download, fill, find, h, loss, number, percent } from "viewer/dom";
import { embeddings } from "viewer/embeddings";
import { saveJson, savePng, saveSvg } from "viewer/export";
import { Graph } from "viewer/graph";
import * as labels from "viewer/labels";
import { nameModels } from "viewer/names";
import * as panel from "viewer/panel";
import * as picker from "viewer/picker";
import { pruning } from "viewer/pruning";
import { reports } from "viewer/reports";
import * as search from "viewer/search";
import * as state from "viewer/state";
import { sections } from "viewer/statistics";
import { titleOf } from "viewer/summary";
import * as tabs from "viewer/tabs";
import * as views from "viewer/views";

const run = await load("run");
run.circuits = nameModels(run.circuits);
const graph = new Graph(find("canvas"), pick, { moved: (place) => circuit && state.set({ at: place }) });
const bar = new ablation.AblationBar(find("ablation"), pick);
let circuit = null;
let opening = null;

const actions = { select: pick, relabelled, sections: (node) => [run.live ? ablation.controls(node) : null, sections(node, circuit)] };

addTabs();
search.start(() => circuit, pick);
startTools();
state.onChange(async (changed) => {
  if (changed.has("circuit")) {
    await open();
  } else if (circuit) {
    update(changed);
  }
  await tabs.show();
});
await open();
await tabs.show();

function update(changed) {
  if (changed.has("node")) {
    showSelection(true);
  }
  if (changed.has("hide")) {
    showThreshold();
  }
  if (changed.has("links")) {
    showLinks();
  }
  if (changed.has("by")) {
    relabelled();
  }
  if (changed.has("scales") || changed.has("base")) {
    showEdits();
    showSelection(false);
  }
  if (changed.has("wide")) {
    showWidth();
  }
  if (changed.has("at") && state.get("at") !== graph.place()) {
    graph.goTo(state.get("at")); // someone changed the address
  }
}

function addTabs() {
  if (run.circuits.length > 0) {
    tabs.add("graph", "Graph", () => {});
    if (run.circuits.length + run.unpruned.length > 1) {
      tabs.add("tasks", "Tasks", (panel) => views.overview(panel, run, openCircuit));
    }
    if (run.circuits.length > 1) {
      tabs.add("sizes", "Size and loss", (panel) => views.sizes(panel, run));
      tabs.add(
        "compare",
        "Side by side",
        (panel) => circuit && views.compare(panel, run, circuit, (element) => new Graph(element, () => {}, { smallestFit: 0.4 })),
      );
    }
    tabs.add("embeddings", "Embeddings", (panel) => circuit && embeddings(panel, circuit));
    tabs.add("pruning", "Pruning", (panel) => circuit && pruning(panel, run, circuit));
  }
  if (run.trainings.length > 0) {
    tabs.add("training", "Training", (panel) => views.training(panel, run));
  }
  if (run.reports.length > 0) {
    tabs.add("reports", "Reports", (panel) => reports(panel, run, openCircuit));
  }
}

/** Loads and draws the circuit that the state names. */
async function open() {
  if (run.circuits.length === 0) {
    find("tab-graph").hidden = true;
    return;
  }
  const entry = run.circuits.find((candidate) => candidate.id === state.get("circuit")) ?? smallest(run.circuits);
  picker.show(find("picker"), run.circuits, entry, (chosen) => state.set({ circuit: chosen.id, node: null, scales: null, at: null }));
  opening = entry.id;
  fill(find("problem"));
  if (circuit?.id === entry.id) {
    return;
  }
  let opened = null;
  try {
    opened = { id: entry.id, entry, ...circuits.open(await load("circuit/" + entry.id)) };
  } catch (error) {
    fill(find("problem"), `${entry.id} cannot be shown: ${error.message}`);
  }
  if (!opened || opening !== entry.id) {
    return; // what was shown stays; or another one was chosen meanwhile
  }
  circuit = opened;
  labels.open(circuit.circuit.model_fingerprint, run.labels);
  showFacts();
  showMeasure();
  const place = state.get("at");
  showWidth();
  graph.show(circuit);
  showThreshold();
  showLinks();
  showEdits();
  showSelection(true);
  if (place) {
    graph.goTo(place);
  }
}

/** The easiest one to begin with: fewest edges among those that met their target. */
function smallest(circuits) {
  return [...circuits].sort((a, b) => (b.solved ?? false) - (a.solved ?? false) || a.edges - b.edges)[0];
}

/** Marks what is switched off or scaled, and asks the server what that does. */
function showEdits() {
  if (run.live) {
    const edits = ablation.scales();
    for (const node of circuit.nodes.values()) {
      graph.elements.get(node).classList.toggle("edited", node.name in edits);
    }
    bar.update(circuit);
  }
}

function openCircuit(entry) {
  state.set({ circuit: entry.id, node: null, scales: null, tab: null, at: null });
}

function pick(node) {
  state.set({ node: node?.name ?? null });
}

function showSelection(scroll) {
  const name = state.get("node");
  const node = circuit.nodes.get(name) ?? [...circuit.embeddings, ...circuit.logits.nodes].find((entry) => entry.name === name) ?? null;
  graph.mark(node, scroll);
  panel.show(node, circuit, actions);
  fill(find("announcer"), node ? `${titleOf(node)}, ${node.in.length} weights in, ${node.out.length} out` : "nothing selected");
}

function showFacts() {
  const { circuit: c, entry } = circuit;
  const m = c.measurements;
  const { settings, imported } = c;
  const stored = (value) => (typeof value === "number" ? ` (file ${loss(value)})` : "");
  const facts = [
    ["model", entry.model],
    ["task", c.task],
    imported?.sweep ? ["sweep", imported.sweep] : null,
    imported?.k ? ["k", imported.k] : null,
    ["loss, full model", loss(m.loss_full_model) + stored(imported?.stored_loss_full_model)],
    ["circuit", loss(m.loss) + stored(imported?.stored_loss), settings ? (m.loss <= settings.target_loss ? "good" : "bad") : null],
    ["without circuit", loss(m.loss_without_circuit)],
    ["empty", loss(m.loss_empty)],
    settings ? ["target", `${number(settings.target_loss)} ${c.solved ? "solved" : c.shortcoming}`, c.solved ? "good" : "bad"] : null,
    ["accuracy", percent(m.accuracy)],
    ["nodes", `${count(c.nodes.length)} of ${count(c.total_nodes)}`],
    ["edges", `${count(c.edges.length)} of ${count(c.total_edges)}`],
    settings ? ["seed", String(settings.seed)] : null,
  ];
  fill(
    find("facts"),
    facts
      .filter(Boolean)
      .map(([name, value, mood]) =>
        h("div", {}, h("dt", {}, name), h("dd", { class: mood ?? null, id: "fact-" + name.replace(/[ ,]+/g, "-") }, value)),
      ),
  );
}

function relabelled() {
  showMeasure();
  graph.relabel();
  showThreshold();
  showLinks();
  showEdits();
  showSelection(false);
}

function showThreshold() {
  const share = Number(state.get("hide", "0"));
  find("hide").value = share;
  const { threshold, shown } = graph.hideWeak(share);
  fill(
    find("hide-value"),
    share > 0
      ? `${share} %: ${count(shown)} of ${count(circuit.edges.length)} edges, ${state.get("by") === "effect" ? "effects " : ""}from ${number(threshold)}`
      : `all ${count(circuit.edges.length)} edges`,
  );
}

function showLinks() {
  const shown = state.get("links") !== "0";
  find("links").checked = shown;
  graph.showLinks(shown);
}

/** Whether lines are as wide as the edge's effect, in place of its weight. */
function showMeasure() {
  find("by-effect").checked = state.get("by") === "effect";
  find("by-effect").parentElement.hidden = circuit.largestEffect === 0;
}

/** Whether the panel has the larger part of the window: for prompts beside each other. */
function showWidth() {
  find("panel").parentElement.classList.toggle("wide", state.get("wide") === "1");
}

function startTools() {
  find("hide").addEventListener("input", (event) => state.set({ hide: event.target.value === "0" ? null : event.target.value }));
  find("links").addEventListener("change", (event) => state.set({ links: event.target.checked ? null : "0" }));
  find("by-effect").addEventListener("change", (event) => state.set({ by: event.target.checked ? "effect" : null }));
  find("zoom-in").addEventListener("click", () => graph.setZoom(graph.zoom * 1.25));
  find("zoom-out").addEventListener("click", () => graph.setZoom(graph.zoom / 1.25));
  find("zoom-fit").addEventListener("click", () => graph.fit());
  const name = () => `${circuit.entry.model}-${circuit.entry.task}`;
  find("export-svg").addEventListener("click", () => saveSvg(graph.svg, name()));
  find("export-png").addEventListener("click", () => savePng(graph.svg, name()));
  find("export-json").addEventListener("click", () => saveJson(circuit.circuit, name()));
  find("export-labels").addEventListener("click", () =>
    download("labels.json", labels.exportText(circuit.circuit.model_fingerprint), "application/json"),
  );
  find("import-labels").addEventListener("click", () => find("labels-file").click());
  find("labels-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    try {
      const added = labels.importText(await file.text());
      fill(find("announcer"), `${added} labels loaded`);
      relabelled();
    } catch (error) {
      alert(`${file.name}: ${error.message}`);
    }
  });
  find("help-button").addEventListener("click", () => find("help").showModal());
  find("panel").addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      find("canvas").focus();
    }
  });
}
