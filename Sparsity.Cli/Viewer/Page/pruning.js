// The tab of one circuit's pruning: loss against the number of nodes, the course of the search, its settings.

import { lines } from "viewer/charts";
import { count, fill, h, loss, number } from "viewer/dom";
import { trialsOf } from "viewer/statistics";

const PRUNINGS_PER_ROUND = 8; // of the release's searches

/** All that is recorded of how the circuit was found. */
export async function pruning(panel, run, circuit) {
  if (panel.dataset.shown === circuit.id) {
    return;
  }
  panel.dataset.shown = circuit.id;
  const { circuit: c } = circuit;
  let problem = null;
  const search = await Promise.resolve(trialsOf(circuit)).catch((error) => {
    problem = error.message;
  });
  if (panel.dataset.shown !== circuit.id) {
    return; // another one was chosen meanwhile
  }
  const curve = c.imported ? sweepCurve(run, circuit) : sizeCurve(run, circuit);
  const course = c.imported ? rounds(c.imported.rounds) : search ? trials(search.trials, c) : null;
  const settings = c.imported ? c.imported.settings : c.settings;
  fill(
    panel,
    h("div", { class: "charts" }, curve, course),
    course
      ? null
      : h("p", { class: problem ? "bad" : "soft" }, problem ?? "Course of the search: not recorded. prune records it with --search."),
    h("h3", {}, "Settings"),
    settings
      ? h(
          "dl",
          { class: "numbers settings" },
          Object.entries(settings).map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, text(value))]),
        )
      : h("p", { class: "soft" }, "not recorded"),
  );
}

const text = (value) =>
  value === null
    ? "none"
    : Array.isArray(value)
      ? value.map(text).join(", ") || "none"
      : typeof value === "number"
        ? number(value)
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value).replaceAll("_", " ");

const axes = (c) => ({
  title: `Loss against nodes, of ${count(c.total_nodes)} in the model`,
  x: "nodes",
  y: "loss (nats)",
  logX: true,
  logY: true,
});

const tell = (nodes, value) => `${count(nodes)} nodes: loss ${loss(value)}`;

/** The sizes that the search tried, the circuit itself, and others of the same task and model. */
function sizeCurve(run, { circuit: c, entry }) {
  const { settings, measurements: m } = c;
  const tried = (c.tried_sizes ?? []).map((size) => [size.nodes, size.loss, tell(size.nodes, size.loss)]);
  const own =
    m.selection_loss === null ? [] : [[c.nodes.length, m.selection_loss, `this circuit, ${tell(c.nodes.length, m.selection_loss)}`]];
  const others = run.circuits
    .filter(
      (other) =>
        other.id !== entry.id && other.task === entry.task && other.model === entry.model && other.measurements.selection_loss !== null,
    )
    .map((other) => [
      other.nodes,
      other.measurements.selection_loss,
      `${other.id}, ${tell(other.nodes, other.measurements.selection_loss)}`,
    ])
    .sort((a, b) => a[0] - b[0]);
  return h(
    "div",
    {},
    lines(
      [
        { name: "sizes tried for it", points: tried, dots: true },
        { name: "this circuit", points: own, dots: own, colour: 2 },
        { name: "other circuits of the task", points: others, dots: true, thin: true, colour: 5, dash: 2 },
      ],
      {
        ...axes(c),
        marks: [
          ["full model", m.loss_full_model],
          [`target ${number(settings.target_loss)}`, settings.target_loss],
        ],
      },
    ),
    h(
      "p",
      { class: "soft" },
      `Nodes in the order of their scores, dead ends dropped; loss on the prompts the circuit was chosen on (the full model's: on test prompts). The search asks for ${number(settings.selection_margin)} of the target there.` +
        (tried.length === 0 ? " The sizes that were tried are not recorded in this file." : ""),
    ),
  );
}

/** The circuits of the same sweep by k, with the losses of their files. */
function sweepCurve(run, { circuit: c, entry }) {
  const members = run.circuits.filter((other) => other.sweep === entry.sweep && other.task === entry.task && other.model === entry.model);
  const point = (other) => [
    other.nodes,
    other.measurements.loss,
    `k ${other.k ?? "not known"}, ${tell(other.nodes, other.measurements.loss)}`,
  ];
  return lines(
    [
      { name: entry.sweep ?? "circuits", points: members.map(point).sort((a, b) => a[0] - b[0]), dots: true },
      { name: "this circuit", points: [point(entry)], dots: true, colour: 2 },
    ],
    { ...axes(c), marks: [["full model", c.measurements.loss_full_model]] },
  );
}

/** Losses of an imported search, round by round. */
function rounds(all) {
  return all.length === 0
    ? null
    : lines([{ name: "loss", points: all.map(({ round, loss: value }) => [(round + 1) * PRUNINGS_PER_ROUND, value]), dots: true }], {
        title: "Course of the search",
        x: "prunings",
        y: "loss (nats)",
        logX: true,
        logY: true,
      });
}

/** Edges of each trial, and the fewest so far among those that meet the target and are necessary. */
function trials(all, c) {
  const told = (trial) =>
    `pruning ${trial.trial + 1}: ${count(trial.edges)} edges, ${count(trial.nodes)} nodes, loss ${loss(trial.selection_loss)}, without it ${loss(trial.loss_without_circuit)}; penalty ${number(trial.k_coef)}, rate ${number(trial.lr)}`;
  const fails = (trial) => !trial.meets_target || trial.loss_without_circuit < c.settings.necessity_loss;
  let best = Infinity;
  const soFar = all
    .map((trial) => {
      best = fails(trial) ? best : Math.min(best, trial.edges);
      return [trial.trial + 1, best];
    })
    .filter(([, edges]) => Number.isFinite(edges));
  const chart = lines(
    [
      {
        name: "fewest edges so far",
        points: soFar,
        dots: all.map((trial) => [trial.trial + 1, trial.edges, told(trial), fails(trial)]),
      },
    ],
    { title: `Course of the search over ${count(all.length)} prunings`, x: "prunings", y: "edges", logY: true },
  );
  return h(
    "div",
    {},
    chart,
    h(
      "p",
      { class: "soft" },
      "A dot per pruning, hollow where it missed the target or the model does without its circuit. The line: the fewest edges so far.",
    ),
  );
}
