// The one small box beside the pointer.

import { fill, find } from "viewer/dom";

const GAP = 14;
const EDGE = 8; // pixels kept from the window's border

/** Shows elements or text beside the pointer. */
export function show(event, ...content) {
  const tooltip = find("tooltip");
  fill(tooltip, content);
  tooltip.hidden = false;
  move(event);
}

export function move(event) {
  const tooltip = find("tooltip");
  const { offsetWidth, offsetHeight } = tooltip;
  tooltip.style.left = Math.max(EDGE, Math.min(event.clientX + GAP, window.innerWidth - offsetWidth - EDGE)) + "px";
  tooltip.style.top = Math.max(EDGE, Math.min(event.clientY + GAP, window.innerHeight - offsetHeight - EDGE)) + "px";
}

export function hide() {
  find("tooltip").hidden = true;
}
