// The charts of viewer and reports.
// Lines: axes, curves, bands and marks; pointing at one tells the nearest point and brings its curve forward.
// Bars: some for each of several things, on one axis.

import { h, loss, number, s } from "viewer/dom";
import * as tooltip from "viewer/tooltip";

const WIDTH = 560;
const HEIGHT = 270;
const LEFT = 56;
const RIGHT = WIDTH - 12;
const TOP = 24;
const BOTTOM = HEIGHT - 36;
const BAR = 16;
const LEFT_OF_BARS = 100;
const VALUE = 44; // room for a number behind a bar
const NEAR = 60; // pixels from the pointer to a point that is still told
const COLOURS = ["var(--positive)", "var(--negative)", "var(--accent)", "var(--good)", "var(--ink)", "var(--soft)"];
const DASHES = [null, "7 4", "2 3"];

/**
 * series: [{ name, points: [[x, y, text]], dots, colour, dash, thin, band: [[x, low, high]] }]; colour and dash are indices.
 * dots: true for one at every point of the curve, or points of their own [[x, y, text, hollow]].
 * thin: a curve that stands behind the others.
 * options: { title, x, y, logX, logY, zero, marks: [[name, y]] }.
 * Points whose x or y is not finite, or not positive on a logarithmic axis, are left out.
 */
export function lines(series, options) {
  const usable = (value, log) => Number.isFinite(value) && (!log || value > 0);
  const placed = ([px, py]) => usable(px, options.logX) && usable(py, options.logY);
  const drawn = series
    .map((entry, i) => {
      const points = entry.points.filter(placed);
      return {
        ...entry,
        points,
        dots: entry.dots === true ? points : (entry.dots || []).filter(placed),
        stroke: COLOURS[(entry.colour ?? i) % COLOURS.length],
        dash: DASHES[(entry.dash ?? Math.floor(i / COLOURS.length)) % DASHES.length],
      };
    })
    .filter((entry) => entry.points.length > 0);
  if (drawn.length === 0) {
    return h("figure", { class: "chart" }, h("figcaption", {}, options.title), h("p", { class: "soft" }, "not recorded"));
  }
  const marks = options.marks?.filter(([, value]) => usable(value, options.logY)) ?? [];
  const all = drawn.flatMap((entry) => [...entry.points, ...entry.dots]);
  const x = scale(
    all.map((point) => point[0]),
    LEFT,
    RIGHT,
    options.logX,
    false,
  );
  const y = scale(
    [
      ...all.map((point) => point[1]),
      ...drawn.flatMap((entry) => entry.band?.flatMap((point) => point.slice(1)) ?? []),
      ...marks.map(([, value]) => value),
    ],
    BOTTOM,
    TOP,
    options.logY,
    options.zero,
  );
  const place = ([px, py]) => [round(x.at(px)), round(y.at(py))];
  const path = (points) => points.map((point, i) => `${i ? "L" : "M"}${place(point).join(" ")}`).join("");
  const ring = s("circle", { class: "ring", r: 6, visibility: "hidden" });
  const curves = drawn.map((entry) =>
    s(
      "g",
      { class: "curve" },
      entry.band
        ? s("path", {
            class: "range",
            d: path([...entry.band.map(([px, low]) => [px, low]), ...entry.band.map(([px, , high]) => [px, high]).reverse()]) + "Z",
            fill: entry.stroke,
          })
        : null,
      s("path", { class: entry.thin ? "line thin" : "line", d: path(entry.points), stroke: entry.stroke, "stroke-dasharray": entry.dash }),
      entry.dots.map((point) =>
        s("circle", {
          class: point[3] ? "dot hollow" : "dot",
          cx: place(point)[0],
          cy: place(point)[1],
          r: 3.5,
          fill: entry.stroke,
          stroke: point[3] ? entry.stroke : null,
        }),
      ),
    ),
  );
  const last = drawn.map((entry) => `${entry.name} ends at ${number(entry.points.at(-1)[1])}`);
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      width: WIDTH,
      height: HEIGHT,
      role: "img",
      "aria-label": `${options.title}: ${options.y} against ${options.x}. ${last.join("; ")}.`,
    },
    y.ticks.map((tick) => [
      s("line", { class: "rule", x1: LEFT, x2: RIGHT, y1: round(y.at(tick)), y2: round(y.at(tick)) }),
      s("text", { class: "tick", x: LEFT - 6, y: round(y.at(tick) + 4), "text-anchor": "end" }, short(tick)),
    ]),
    x.ticks.map((tick) => s("text", { class: "tick", x: round(x.at(tick)), y: BOTTOM + 16, "text-anchor": "middle" }, short(tick))),
    s("text", { class: "tick", x: (LEFT + RIGHT) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, axisName(options.x, options.logX)),
    s("text", { class: "tick", x: 2, y: 10 }, axisName(options.y, options.logY)),
    marks.map(([name, value]) => [
      s("line", { class: "mark", x1: LEFT, x2: RIGHT, y1: y.at(value), y2: y.at(value) }),
      s("text", { class: "tick", x: RIGHT - 2, y: round(y.at(value) - 4), "text-anchor": "end" }, name),
    ]),
    curves,
    ring,
  );

  const emphasise = (i) => curves.forEach((curve, j) => curve.classList.toggle("back", i !== null && i !== j));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = { x: ((event.clientX - box.left) / box.width) * WIDTH, y: ((event.clientY - box.top) / box.height) * HEIGHT };
    const nearest = nearestPoint(drawn, place, at);
    emphasise(nearest?.series ?? null);
    ring.setAttribute("visibility", nearest ? "visible" : "hidden");
    if (nearest) {
      const [cx, cy] = place(nearest.point);
      ring.setAttribute("cx", cx);
      ring.setAttribute("cy", cy);
      tooltip.show(
        event,
        h("strong", {}, nearest.point[2] ?? `${drawn[nearest.series].name}: ${number(nearest.point[1])}`),
        h("div", { class: "soft" }, `${options.x}: ${number(nearest.point[0])}`),
      );
    } else {
      tooltip.hide();
    }
  });
  svg.addEventListener("pointerleave", () => {
    emphasise(null);
    ring.setAttribute("visibility", "hidden");
    tooltip.hide();
  });
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, options.title),
    svg,
    drawn.length > 1 || drawn[0].band
      ? h(
          "ul",
          { class: "legend" },
          drawn.map((entry, i) =>
            h("li", { onpointerenter: () => emphasise(i), onpointerleave: () => emphasise(null) }, swatch(entry), entry.name),
          ),
        )
      : null,
  );
}

/**
 * groups: [{ name, bars: [{ name, value, strong }], mark }]; mark, if there is one, is the place of a dashed line across a group's bars.
 * Bars lie, so that any number of groups and any name has room.
 * options: { title, x, mark: what the marks are }.
 */
export function bars(groups, options) {
  const tall = 26 + Math.max(...groups.map((group) => group.bars.length)) * BAR + 10;
  const floor = groups.length * tall;
  const values = groups.flatMap((group) => [group.mark ?? 0, ...group.bars.map((bar) => bar.value)]);
  const x = scale(values, LEFT_OF_BARS, RIGHT - VALUE, false, true);
  const drawn = groups.map((group, i) => {
    const top = i * tall + 26;
    const target = group.mark === undefined ? null : x.at(group.mark);
    return s(
      "g",
      {},
      s(
        "text",
        { class: "group-name", x: 0, y: top - 8 },
        target === null ? group.name : `${group.name} (${options.mark} ${loss(group.mark)})`,
      ),
      group.bars.map((bar, j) => {
        const end = x.at(Math.max(0, bar.value));
        const y = top + j * BAR;
        const beside = target !== null && end < target && end + VALUE > target ? target : end; // the value keeps clear of the mark
        return [
          s("text", { class: "tick", x: LEFT_OF_BARS - 6, y: y + 10, "text-anchor": "end" }, bar.name),
          s("rect", { class: bar.strong ? "bar" : "bar other", x: LEFT_OF_BARS, y, width: round(end - LEFT_OF_BARS), height: BAR - 3 }),
          s("text", { class: "value", x: round(beside + 5), y: y + 10 }, loss(bar.value)),
        ];
      }),
      target === null
        ? null
        : s("line", { class: "mark", x1: round(target), x2: round(target), y1: top - 4, y2: top + group.bars.length * BAR }),
    );
  });
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, options.title),
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${floor + 36}`, width: WIDTH, height: floor + 36, role: "img", "aria-label": options.title },
      x.ticks.map((tick) => [
        s("line", { class: "rule", x1: round(x.at(tick)), x2: round(x.at(tick)), y1: 0, y2: floor }),
        s("text", { class: "tick", x: round(x.at(tick)), y: floor + 14, "text-anchor": "middle" }, short(tick)),
      ]),
      s("text", { class: "tick", x: (LEFT_OF_BARS + RIGHT - VALUE) / 2, y: floor + 31, "text-anchor": "middle" }, options.x),
      drawn,
    ),
  );
}

const axisName = (name, log) => (log ? `${name}, log scale` : name);

/** A short piece of the curve, as dashed as it is. */
const swatch = (entry) =>
  s(
    "svg",
    { class: "swatch", width: 22, height: 10, "aria-hidden": "true" },
    entry.band ? s("rect", { class: "range", width: 22, height: 10, fill: entry.stroke }) : null,
    s("line", { x1: 0, x2: 22, y1: 5, y2: 5, stroke: entry.stroke, "stroke-width": entry.thin ? 1 : 2.5, "stroke-dasharray": entry.dash }),
  );

function nearestPoint(drawn, place, at) {
  let nearest = null;
  drawn.forEach((entry, series) =>
    (entry.dots.length > 0 ? entry.dots : entry.points).forEach((point) => {
      const [x, y] = place(point);
      const distance = Math.hypot(x - at.x, y - at.y);
      if (distance < (nearest?.distance ?? NEAR)) {
        nearest = { series, point, distance };
      }
    }),
  );
  return nearest;
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
  return ticks.length > 2 ? ticks : niceTicks(low, high); // less than a decade
}

const short = (value) =>
  Math.abs(value) >= 1e6
    ? `${Number((value / 1e6).toPrecision(3))}M`
    : Math.abs(value) >= 1e4
      ? `${Number((value / 1e3).toPrecision(3))}k`
      : number(Number(value.toPrecision(6)));

const round = (value) => Math.round(value * 100) / 100;
