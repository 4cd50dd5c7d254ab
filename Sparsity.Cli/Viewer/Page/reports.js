// The Reports tab: is a circuit the truth (faithfulness), and does a node mean in the dense model what it means in the sparse one (steering
// over a bridge).

import { lines } from "viewer/charts";
import { load } from "viewer/data";
import { choice, count, fill, h, loss, number } from "viewer/dom";
import * as state from "viewer/state";


/** The report that the state's "report" names, then all verdicts of the run. openCircuit: called with the list's entry of a circuit. */
export async function reports(panel, run, openCircuit) {
  const id = run.reports.includes(state.get("report")) ? state.get("report") : run.reports[0];
  if (panel.dataset.shown === id) {
    return;
  }
  panel.dataset.shown = id;
  const all = await Promise.all(run.reports.map(async (name) => ({ name, ...(await read(name)) })));
  if (panel.dataset.shown !== id) {
    return;
  }
  const { name, report, error } = all.find((entry) => entry.name === id);
  const choose = (chosen) => state.set({ report: chosen });
  const circuit = run.circuits.find((entry) => entry.id === name.replace(/\/?[^/]*$/, ""));
  fill(
    panel,
    choice(
      "Report",
      all.map((entry) => [entry.name, title(entry)]),
      id,
      choose,
    ),
    error
      ? h("p", { class: "bad" }, error)
      : report.checks
        ? faithfulness(report, circuit && report.task === circuit.task ? () => openCircuit(circuit) : null)
        : report.points
          ? steering(report)
          : table(report),
    verdicts(
      all.filter((entry) => entry.report?.checks),
      choose,
    ),
  );
}

async function read(name) {
  try {
    return { report: await load("report/" + name) };
  } catch (error) {
    return { error: `${name}: ${error.message}` };
  }
}

const title = ({ name, report }) => (report?.checks ? `${report.task} in ${short(report.model)}: ${name}` : name);

/** A model's folder without those above it. */
const short = (model) => model.split(/[\\/]/).filter(Boolean).at(-1) ?? model;

/** Verdict, the questions, interchange both ways, controls. */
function faithfulness(report, open) {
  const target = report.target_loss;
  const points = (list) => list.map((point) => [100 * point.fraction, point.loss]);
  const c = report.circuit;
  const search = (name, entry) => [
    name,
    count(entry.nodes),
    count(entry.edges),
    loss(entry.loss),
    loss(entry.loss_full_model),
    entry.meets_target,
  ];
  const rows = [
    ["the circuit", count(report.nodes), count(report.edges), loss(c.loss), loss(c.loss_full_model), c.loss <= target],
    // Reports of earlier versions have neither these nor what follows from them.
    ...(report.baselines ?? []).map((entry) => search(`nodes ranked by ${entry.name}`, entry)),
    ...(report.controls ?? []).map((entry) => search(entry.name, entry)),
  ];
  const outside = report.partial_ablation;
  return h(
    "article",
    { class: "report", "aria-label": "Faithfulness" },
    h("p", { class: "verdict" }, badge(report.is_real), " ", report.verdict.replace(/^(real|doubtful): /, "")),
    h(
      "p",
      { class: "soft" },
      `${report.task} in ${short(report.model)}: ${count(report.nodes)} nodes, ${count(report.edges)} edges, target ${number(target)} nats. `,
      open ? h("button", { type: "button", onclick: open }, "Show the circuit") : null,
    ),
    h("h3", {}, `${report.checks.length} questions`),
    h(
      "ol",
      { class: "questions" },
      report.checks.map((check) =>
        h(
          "li",
          { class: check.passed ? "good" : "bad" },
          h("strong", {}, sentence(check.question)),
          " ",
          h("span", { class: "answer" }, check.passed ? "yes" : "no"),
          h("div", { class: "soft" }, check.numbers),
        ),
      ),
    ),
    h(
      "div",
      { class: "charts" },
      lines(
        [
          { name: "full model's activations put into the circuit", points: points(report.interchange.full_into_circuit), dots: true },
          { name: "circuit's activations put into the full model", points: points(report.interchange.circuit_into_full), dots: true },
        ],
        {
          title: "Interchanged activations",
          x: "percent of the circuit's nodes",
          y: "task loss (nats)",
          zero: true,
          marks: [
            ["target", target],
            ["highest allowed", (report.interchange.baseline ?? target) + target],
          ],
        },
      ),
      h(
        "figure",
        { class: "chart" },
        h("figcaption", {}, "The same search on controls"),
        h(
          "div",
          { class: "scroll" },
          h(
            "table",
            { class: "grid numeric" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["", "nodes", "edges", "loss", "full model", "target"].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h(
              "tbody",
              {},
              rows.map(([name, ...values]) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, name),
                  values.slice(0, 4).map((value) => h("td", {}, value)),
                  h("td", {}, values[4] ? "met" : "missed"),
                ),
              ),
            ),
          ),
        ),
        h("p", { class: "soft" }, "Nonsense holds nothing to find: there the search should miss the target, or need more edges."),
        h(
          "dl",
          { class: "numbers" },
          [
            ["without the circuit", c.loss_without_circuit],
            ["every node frozen", c.loss_empty],
            ["random circuits of its size, mean", c.loss_random_mean],
            ["random circuits, best", c.loss_random_best],
            ["other ablation (zero for mean)", report.loss_other_ablation],
            ["divergence from the model's answers", report.divergence],
            ["with random parts of the rest", outside?.loss_of_parts],
            ["model without one node of the rest, worst", outside?.loss_without_one],
            ["adversarial gates outside (reported only)", outside?.loss_adversarial],
          ].map(([name, value]) => [h("dt", {}, name), h("dd", {}, loss(value))]),
        ),
      ),
    ),
  );
}

const badge = (real) => h("span", { class: "badge " + (real ? "good" : "bad") }, real ? "real" : "doubtful");

const sentence = (question) => question[0].toUpperCase() + question.slice(1) + "?";

/** A row per report with its answers. */
function verdicts(all, choose) {
  const questions = [...new Set(all.flatMap(({ report }) => report.checks.map((check) => check.question)))];
  return all.length < 2
    ? null
    : h(
        "section",
        {},
        h("h3", {}, "All verdicts"),
        h(
          "div",
          { class: "scroll" },
          h(
            "table",
            { class: "grid" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["task", "model", "target", "edges", "verdict", ...questions.map(sentence)].map(
                  (name) => h("th", { scope: "col" }, name),
                ),
              ),
            ),
            h(
              "tbody",
              {},
              all.map(({ name, report }) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row" }, h("button", { type: "button", class: "reference", onclick: () => choose(name) }, report.task)),
                  h("td", {}, short(report.model)),
                  h("td", {}, number(report.target_loss)),
                  h("td", {}, count(report.edges)),
                  h("td", {}, badge(report.is_real)),
                  questions
                    .map((question) => report.checks.find((check) => check.question === question))
                    .map((check) =>
                      check
                        ? h("td", { class: check.passed ? "good" : "bad", title: check.numbers }, check.passed ? "yes" : "no")
                        : h("td", {}, ""),
                    ),
                ),
              ),
            ),
          ),
        ),
      );
}

/** Probabilities of both answers against strength, beside those along random directions. */
export function steering(report) {
  const { points } = report;
  const last = points.at(-1);
  const curves = (of) => [
    { name: "dense model, steered over the bridge", points: points.map((point) => [point.strength, of(point.dense)]), dots: true },
    {
      name: "sparse model, the nodes themselves",
      points: points.map((point) => [point.strength, of(point.sparse)]),
      dots: true,
      colour: 2,
    },
  ];
  const random = (of, band) => ({
    name: `dense model, ${count(report.random_directions)} random directions${band ? ": mean, lowest to highest" : ": mean"}`,
    points: points.map((point) => [point.strength, of(point.random)]),
    colour: 5,
    dash: 1,
    band,
  });
  const band = points.map((point) => [point.strength, point.random_low, point.random_high]);
  return h(
    "article",
    { class: "report", "aria-label": "Steering over a bridge" },
    h(
      "p",
      { class: "verdict" },
      `${times(report.dense_factor)} as probable: the counterfactual answer in the dense model at strength ${number(last.strength)}; along random directions ${times(report.random_factor)}.`,
    ),
    h(
      "p",
      { class: "soft" },
      `Nodes of the sparse model are moved from the presented prompt towards the counterfactual one; strength 1 moves them all the way. ${count(report.prompts)} prompts, seed ${report.seed}.`,
    ),
    h(
      "div",
      { class: "charts" },
      lines([...curves((answers) => answers.counterfactual), random((answers) => answers.counterfactual, band)], {
        title: "The counterfactual answer",
        x: "strength",
        y: "probability",
        zero: true,
      }),
      lines([...curves((answers) => answers.presented), random((answers) => answers.presented)], {
        title: "The presented prompt's own answer",
        x: "strength",
        y: "probability",
        zero: true,
      }),
    ),
    h("h3", {}, "Steered nodes"),
    table(report.nodes),
    h("h3", {}, "In numbers"),
    h(
      "div",
      { class: "scroll" },
      table(
        points.map((point) => ({
          strength: point.strength,
          "dense, steered": point.dense.counterfactual,
          "sparse, edited": point.sparse.counterfactual,
          "random mean": point.random.counterfactual,
          "random lowest": point.random_low,
          "random highest": point.random_high,
          "dense, own answer": point.dense.presented,
          "sparse, own answer": point.sparse.presented,
        })),
      ),
    ),
  );
}

const times = (factor) => (Number.isFinite(factor) ? `${number(Number(factor.toPrecision(3)))} times` : "not measurably");

/** Any JSON as tables: a list of objects has a row for each, an object a row per field. */
function table(value) {
  if (value === null || typeof value !== "object") {
    return typeof value === "number" ? number(value) : String(value ?? "–");
  }
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((entry) => entry !== null && typeof entry === "object" && !Array.isArray(entry))
  ) {
    const fields = [...new Set(value.flatMap((entry) => Object.keys(entry)))];
    return h(
      "table",
      { class: "grid" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          fields.map((field) => h("th", { scope: "col" }, words(field))),
        ),
      ),
      h(
        "tbody",
        {},
        value.map((entry) =>
          h(
            "tr",
            {},
            fields.map((field) => h("td", {}, table(entry[field]))),
          ),
        ),
      ),
    );
  }
  if (Array.isArray(value)) {
    return value.map((entry) => (typeof entry === "number" ? number(entry) : JSON.stringify(entry))).join(", ");
  }
  return h(
    "table",
    { class: "grid" },
    h(
      "tbody",
      {},
      Object.entries(value).map(([field, entry]) => h("tr", {}, h("th", { scope: "row" }, words(field)), h("td", {}, table(entry)))),
    ),
  );
}

const words = (field) => field.replaceAll("_", " ");
