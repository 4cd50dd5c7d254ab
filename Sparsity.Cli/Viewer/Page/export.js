// What is seen, as a file: SVG or PNG of the drawing, or the circuit as circuit.json has it.

import { download, s } from "viewer/dom";

const LARGEST_SIDE = 12000; // pixels; browsers refuse larger canvases

/** The drawing as a file of its own: with the rules that style it and the colours of the moment. */
export function svgText(svg) {
  const copy = svg.cloneNode(true);
  const box = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", box.width);
  copy.setAttribute("height", box.height);
  const style = getComputedStyle(document.documentElement);
  const rules = [...document.styleSheets]
    .flatMap((sheet) => [...sheet.cssRules])
    .filter((rule) => rule.selectorText?.includes(".graph"))
    .map((rule) => rule.cssText)
    .join("\n");
  const colours = rules.replace(/var\((--[a-z-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  copy.prepend(
    s("style", {}, colours),
    s("rect", { width: box.width, height: box.height, fill: style.getPropertyValue("--paper").trim() }),
  );
  return new XMLSerializer().serializeToString(copy);
}

export const saveSvg = (svg, name) => download(name + ".svg", svgText(svg), "image/svg+xml");

/** Twice as many pixels as on paper, where the browser allows it. */
export async function savePng(svg, name) {
  const box = svg.viewBox.baseVal;
  const scale = Math.min(2, LARGEST_SIDE / Math.max(box.width, box.height));
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svgText(svg));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(box.width * scale);
  canvas.height = Math.round(box.height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.drawImage(image, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  download(name + ".png", blob);
}

export const saveJson = (circuit, name) => download(name + ".json", JSON.stringify(circuit, null, 2) + "\n", "application/json");
