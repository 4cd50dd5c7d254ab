// Small drawings: line charts, histograms, text with a colour behind each token, attention patterns.

import { h, number, s } from "viewer/dom";

const COLOURS = ["var(--positive)", "var(--negative)", "var(--accent)", "var(--good)", "var(--soft)", "var(--ink)"];

/**
 * A line chart. series: [{ name, points: [[x, y]], dots }]. options: { title, x, y, logX, logY, zero, mark: [name, y] }.
 * Points whose x or y is not finite, or not positive on a logarithmic axis, are left out.
 */
export function lines(series, options) {
  const width = options.width ?? 560;
  const height = options.height ?? 260;
  const usable = (value, log) => Number.isFinite(value) && (!log || value > 0);
  const drawn = series.map((entry, i) => ({ ...entry, colour: COLOURS[i % COLOURS.length], points: entry.points.filter(([x, y]) => usable(x, options.logX) && usable(y, options.logY)) }))
    .filter((entry) => entry.points.length > 0);
  if (drawn.length === 0) {
    return h("p", { class: "soft" }, `${options.title}: not recorded`);
  }
  const all = drawn.flatMap((entry) => entry.points);
  const x = scale(all.map((point) => point[0]), 56, width - 12, options.logX, false);
  const y = scale([...all.map((point) => point[1]), ...(options.mark ? [options.mark[1]] : [])], height - 34, 12, options.logY, options.zero);
  const path = (points) => points.map((point, i) => `${i ? "L" : "M"}${round(x.at(point[0]))} ${round(y.at(point[1]))}`).join("");
  return h("figure", { class: "chart" },
    h("figcaption", {}, options.title),
    s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${options.title}; ${options.y} against ${options.x}` },
      y.ticks.map((tick) => [s("line", { class: "grid", x1: 56, x2: width - 12, y1: round(y.at(tick)), y2: round(y.at(tick)) }), s("text", { class: "tick", x: 50, y: round(y.at(tick) + 4), "text-anchor": "end" }, short(tick))]),
      x.ticks.map((tick) => s("text", { class: "tick", x: round(x.at(tick)), y: height - 18, "text-anchor": "middle" }, short(tick))),
      s("text", { class: "tick", x: (width + 44) / 2, y: height - 3, "text-anchor": "middle" }, options.x),
      options.mark ? [s("line", { class: "mark", x1: 56, x2: width - 12, y1: y.at(options.mark[1]), y2: y.at(options.mark[1]) }), s("text", { class: "tick", x: width - 14, y: y.at(options.mark[1]) - 4, "text-anchor": "end" }, options.mark[0])] : null,
      drawn.map((entry) => [
        s("path", { class: "curve", d: path(entry.points), stroke: entry.colour }),
        entry.dots ? entry.points.map(([px, py, title]) => s("circle", { cx: round(x.at(px)), cy: round(y.at(py)), r: 4, fill: entry.colour }, s("title", {}, title ?? `${entry.name}: ${number(px)}, ${number(py)}`))) : null,
      ])),
    h("ul", { class: "legend" }, drawn.map((entry) => h("li", {}, h("span", { class: "swatch", style: `background:${entry.colour}` }), entry.name))));
}

/** Counts of equal bins between a minimum and a maximum, with lines at marks: [[name, value]]. */
export function histogram({ minimum, maximum, counts }, marks, title) {
  const width = 320;
  const height = 90;
  const most = Math.max(1, ...counts);
  const bar = width / counts.length;
  // Rare activations are what nodes are about: the square root keeps them visible beside the many zeros.
  const tall = (value) => Math.sqrt(value / most) * (height - 4);
  const at = (value) => (maximum === minimum ? width / 2 : ((value - minimum) / (maximum - minimum)) * width);
  return h("figure", { class: "chart" },
    s("svg", { viewBox: `0 0 ${width} ${height + 14}`, width, height: height + 14, role: "img", "aria-label": title },
      counts.map((value, i) => s("rect", { class: "bar", x: round(i * bar), y: round(height - tall(value)), width: round(Math.max(1, bar - 1)), height: round(tall(value)) },
        s("title", {}, `${number(minimum + (i * (maximum - minimum)) / counts.length)} to ${number(minimum + ((i + 1) * (maximum - minimum)) / counts.length)}: ${value}`))),
      marks.filter(([, value]) => Number.isFinite(value)).map(([name, value]) => s("line", { class: "mark", x1: round(at(value)), x2: round(at(value)), y1: 0, y2: height }, s("title", {}, `${name} ${number(value)}`))),
      s("text", { class: "tick", x: 0, y: height + 12 }, number(minimum)),
      s("text", { class: "tick", x: width, y: height + 12, "text-anchor": "end" }, number(maximum))),
    h("figcaption", { class: "soft" }, title));
}

/** Tokens with colours by value: blue positive, red negative, as strong as the value against the largest. focus: index of a token to frame. */
export function heatText(tokens, values, largest, focus) {
  const most = largest ?? Math.max(...values.map(Math.abs), 0);
  return h("p", { class: "heat" }, tokens.map((token, i) => {
    const share = most > 0 && Number.isFinite(values[i]) ? Math.round((70 * Math.min(1, Math.abs(values[i]) / most))) : 0;
    const colour = share === 0 ? null : `background:color-mix(in srgb, var(${values[i] < 0 ? "--negative" : "--positive"}) ${share}%, transparent)`;
    return h("span", { style: colour, class: i === focus ? "focus" : null, title: `${token}: ${Number.isFinite(values[i]) ? number(values[i]) : "none"}` }, plain(token));
  }));
}

/** A token as it stands in text; line ends and tabs are made visible. */
export function plain(token) {
  const inner = /^'([\s\S]*)'$/.exec(token)?.[1] ?? token;
  const special = { n: "↵\n", t: "⇥", r: "␍" };
  return inner.replace(/\\(n|t|r|'|\\)/g, (_, letter) => special[letter] ?? letter);
}

/** Attention of every token (row) to those before it (column). */
export function attention(tokens, rows) {
  const cell = Math.max(4, Math.min(13, Math.floor(250 / tokens.length)));
  const labelled = cell >= 9;
  const left = labelled ? 70 : 4;
  const side = tokens.length * cell;
  return h("figure", { class: "chart" },
    s("svg", { viewBox: `0 0 ${left + side + 4} ${side + 4}`, width: left + side + 4, height: side + 4, role: "img", "aria-label": "attention pattern, a row per token" },
      s("rect", { class: "bar-ground", x: left, y: 0, width: side, height: side }),
      labelled ? tokens.map((token, i) => s("text", { class: "tick", x: left - 4, y: (i + 0.8) * cell, "text-anchor": "end" }, plain(token).replace("\n", "").slice(0, 9))) : null,
      rows.map((row, i) => row.map((weight, j) => (weight < 0.005 ? null : s("rect", { class: "cell", x: left + j * cell, y: i * cell, width: cell, height: cell, "fill-opacity": weight },
        s("title", {}, `${tokens[i]} attends to ${tokens[j]}: ${number(weight)}`)))))),
    h("figcaption", { class: "soft" }, "each row: where a token looks"));
}

function scale(values, from, to, log, zero) {
  let low = Math.min(...values, ...(zero && !log ? [0] : []));
  let high = Math.max(...values);
  if (low === high) {
    [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  } else if (log) {
    [low, high] = [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
  }
  const f = log ? Math.log10 : (value) => value;
  const at = (value) => from + ((f(value) - f(low)) / (f(high) - f(low))) * (to - from);
  return { at, ticks: log ? logTicks(low, high) : niceTicks(low, high) };
}

function niceTicks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) {
    ticks.push(i * step);
  }
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of Math.log10(high / low) > 3 ? [1] : [1, 2, 5]) {
      const tick = factor * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) {
        ticks.push(tick);
      }
    }
  }
  return ticks.length > 0 ? ticks : [low, high];
}

const short = (value) => (Math.abs(value) >= 1e6 ? `${Number((value / 1e6).toPrecision(3))}M` : Math.abs(value) >= 1e4 ? `${Number((value / 1e3).toPrecision(3))}k` : number(Number(value.toPrecision(6))));

const round = (value) => Math.round(value * 100) / 100;
