// What the colours behind tokens mean: where a scale begins and ends, how strongly a value is coloured, and the bar that says so.

import { h, number } from "viewer/dom";
import * as state from "viewer/state";

const FAINTEST = 0.01; // of the strongest colour; less is left white
const BOXED = 0.2; // standard deviations beyond the next value

/** The scale of values that belong together. zeroCentred: whatever the switch says, for differences. */
export function scaleOf(values, zeroCentred = false) {
  const finite = values.filter(Number.isFinite);
  return { low: finite.reduce((a, b) => Math.min(a, b), Infinity), high: finite.reduce((a, b) => Math.max(a, b), -Infinity), zeroCentred };
}

/** The values at the two ends: as far below zero as above it, or the smallest and the largest value. */
export function ends({ low, high, zeroCentred }) {
  if (!(low <= high)) {
    return [0, 0];
  }
  const most = Math.max(Math.abs(low), Math.abs(high));
  return !zeroCentred && state.get("scale") === "range" ? [low, high] : [-most, most];
}

/** { share, sign }: how strong a value's colour is, from 0 to 1, and whether it lies above or below the scale's middle. */
export function colourOf(value, scale) {
  const [low, high] = ends(scale);
  const offset = value - (low + high) / 2;
  const share = high > low && Number.isFinite(value) ? Math.min(1, Math.abs(offset) / ((high - low) / 2)) : 0;
  return share < FAINTEST ? { share: 0, sign: 0 } : { share, sign: Math.sign(offset) };
}

/** Indices of the largest and the smallest value, where they lie 0.2 standard deviations beyond the next one; else -1. */
export function extremes(values) {
  if (values.length < 2) {
    return { largest: -1, smallest: -1 };
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  const sorted = [...values].sort((a, b) => a - b);
  return {
    largest: sorted.at(-1) - sorted.at(-2) > BOXED * deviation ? values.indexOf(sorted.at(-1)) : -1,
    smallest: sorted[1] - sorted[0] > BOXED * deviation ? values.indexOf(sorted[0]) : -1,
  };
}

/** A bar from the strongest negative to the strongest positive colour, with the values at its ends. */
export function scaleBar(scale, name) {
  const [low, high] = [h("span", {}), h("span", {})];
  const bar = h(
    "span",
    { class: "scale" },
    h("span", { class: "soft" }, name),
    " ",
    low,
    h("span", { class: "ramp", "aria-hidden": "true" }),
    high,
  );
  return repainting(bar, () => [low, high].forEach((end, i) => (end.textContent = number(shortened(ends(scale)[i])))));
}

/** Zero-centred or full range, for all colours of the page. */
export function scaleSwitch() {
  const box = h("input", { type: "checkbox", onchange: () => state.set({ scale: box.checked ? "range" : null }) });
  return repainting(h("label", { class: "scale-switch" }, box, " full range"), () => (box.checked = state.get("scale") === "range"));
}

/** An element that paints itself now and whenever the switch changes. */
export function repainting(element, paint) {
  element.classList.add("repaints");
  element.repaint = paint;
  paint();
  return element;
}

state.onChange((changed) => {
  if (changed.has("scale")) {
    document.querySelectorAll(".repaints").forEach((element) => element.repaint());
  }
});

const shortened = (value) => Number(value.toPrecision(3));
