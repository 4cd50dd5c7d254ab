// Lets people move in the drawing of a circuit: hover, select, follow edges by keyboard, hide weak edges, zoom.

import { MARKED_RISE, sizeOf } from "viewer/circuit";
import { fill, find, h, number } from "viewer/dom";
import { draw } from "viewer/drawing";
import * as labels from "viewer/labels";
import { layOut } from "viewer/layout";
import { LOCATIONS } from "viewer/names";
import { alongEdge, alongRow, first } from "viewer/navigation";
import * as state from "viewer/state";
import { edgeSummary, nodeSummary } from "viewer/summary";
import * as tooltip from "viewer/tooltip";

const GUTTER = 84;
const CLICK = 4; // pixels the mouse may move within a click
const SETTLED = 150; // milliseconds without a move before a place is told
const FULLY_DRAWN = 1500; // edges; more are drawn the fainter

export class Graph {
  /**
   * select: called with a node or null when the user picks one. smallestFit: how far fitting may shrink text. moved: called with the place
   * when someone zoomed or scrolled.
   */
  constructor(container, select, { smallestFit = 0.8, moved = null } = {}) {
    this.container = container;
    this.select = select;
    this.smallestFit = smallestFit;
    if (moved) {
      this.moved = moved;
      container.addEventListener("scroll", () => this.tellPlace(), { passive: true });
    }
    this.zoom = 1;
    this.selected = null;
    container.addEventListener("keydown", (event) => this.onKey(event));
    container.addEventListener("pointermove", (event) => this.onPointer(event));
    container.addEventListener("pointerleave", () => this.hover(null));
    container.addEventListener("pointerdown", (event) => this.onDown(event));
    container.addEventListener("click", (event) => this.onClick(event));
    // Its place changes with the window, with the bar of live ablation, and when its tab comes into view. The outer size: a scrollbar must
    // not start it anew.
    new ResizeObserver(() => this.onResize()).observe(container, { box: "border-box" });
    container.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  /** Draws a circuit from anew. */
  show(circuit) {
    clearTimeout(this.telling);
    this.circuit = circuit;
    this.layout = layOut(circuit, labels.of);
    this.selected = null;
    Object.assign(this, draw(circuit, this.layout, this.container.id, state.get("by")));
    this.gutter = h("div", { class: "gutter", "aria-hidden": "true" });
    this.hideWeak(Number(state.get("hide", "0")));
    this.fit(); // before the drawing is in the page: thousands of elements are laid out once, not twice
    fill(this.container, this.gutter, this.svg);
  }

  onPointer(event) {
    const element = event.target.closest?.(".node") ?? event.target.closest?.(".edge, .link, .readout");
    this.hover(element, event);
  }

  hover(element, event) {
    if (this.hovered !== element) {
      this.hovered?.classList.remove("hovered");
      this.hovered = element;
      element?.classList.add("hovered");
      element ? tooltip.show(event, element.node ? nodeSummary(element.node, this.circuit) : edgeSummary(element.edge)) : tooltip.hide();
    } else if (element) {
      tooltip.move(event);
    }
  }

  /** A mouse drags the drawing; fingers scroll it anyway. */
  onDown(event) {
    this.dragged = false;
    const box = this.container;
    const { left, top } = box.getBoundingClientRect();
    const onScrollbar = event.clientX - left > box.clientWidth || event.clientY - top > box.clientHeight;
    if (event.button !== 0 || event.pointerType !== "mouse" || onScrollbar || event.target.closest(".node")) {
      return;
    }
    const start = { x: event.clientX + box.scrollLeft, y: event.clientY + box.scrollTop };
    const move = (to) => {
      if (this.dragged || Math.hypot(to.clientX - event.clientX, to.clientY - event.clientY) > CLICK) {
        this.dragged = true;
        box.scrollTo(start.x - to.clientX, start.y - to.clientY);
      }
    };
    const end = new AbortController();
    window.addEventListener("pointermove", move, { signal: end.signal });
    for (const over of ["pointerup", "pointercancel"]) {
      window.addEventListener(over, () => end.abort(), { signal: end.signal });
    }
  }

  onClick(event) {
    if (this.dragged) {
      return;
    }
    const element = event.target.closest?.(".node");
    const edge = event.target.closest?.(".edge, .link, .readout")?.edge;
    this.select(element?.node ?? edge?.to ?? null);
  }

  /** Marks a node, what it is connected to, and brings it into view. */
  mark(node, scroll) {
    this.elements.get(this.selected)?.classList.remove("selected");
    this.svg.querySelectorAll(".near").forEach((element) => element.classList.remove("near"));
    this.selected = node;
    this.svg.classList.toggle("has-selection", node !== null);
    const element = this.elements.get(node);
    if (!element) {
      this.container.removeAttribute("aria-activedescendant");
      return;
    }
    element.classList.add("selected");
    this.container.setAttribute("aria-activedescendant", element.id);
    for (const [edge, line] of this.lines) {
      if (edge.from === node || edge.to === node) {
        line.classList.add("near");
        line.parentNode.append(line); // on top of the others
        this.elements.get(edge.from).classList.add("near");
        this.elements.get(edge.to).classList.add("near");
      }
    }
    if (scroll) {
      this.reveal(node);
    }
  }

  reveal(node) {
    const { x, y } = this.layout.places.get(node);
    const box = this.container;
    const left = GUTTER + x * this.zoom;
    const top = y * this.zoom;
    const room = 60;
    if (left < box.scrollLeft + GUTTER + room || left > box.scrollLeft + box.clientWidth - room) {
      box.scrollLeft = left - box.clientWidth / 2;
    }
    if (top < box.scrollTop + room || top > box.scrollTop + box.clientHeight - room) {
      box.scrollTop = top - box.clientHeight / 2;
    }
  }

  /** Hides the weakest share (0 to 100) of edges, and dims nodes that lose all of theirs. Returns { threshold, shown }. */
  hideWeak(share) {
    const by = state.get("by");
    const sizes = this.circuit.edges.map((edge) => sizeOf(edge, by)).sort((a, b) => a - b);
    const threshold = share <= 0 || sizes.length === 0 ? 0 : sizes[Math.min(sizes.length - 1, Math.floor((sizes.length * share) / 100))];
    let shown = 0;
    const kept = new Set();
    for (const edge of this.circuit.edges) {
      const visible = sizeOf(edge, by) >= threshold;
      this.lines.get(edge).classList.toggle("hidden", !visible);
      if (visible) {
        shown++;
        kept.add(edge.from).add(edge.to);
      }
    }
    for (const node of this.circuit.nodes.values()) {
      this.elements.get(node).classList.toggle("dimmed", share > 0 && !kept.has(node));
    }
    this.threshold = threshold;
    // Thousands of lines must not become one dark area.
    this.svg.querySelector(".edges").setAttribute("stroke-opacity", round(Math.max(0.15, Math.min(1, FULLY_DRAWN / shown))));
    return { threshold, shown };
  }

  showLinks(shown) {
    this.svg.classList.toggle("without-links", !shown);
  }

  /** Lays out again after labels changed, keeping selection and position. */
  relabel() {
    const { scrollLeft, scrollTop } = this.container;
    const { isFitted, zoom, selected } = this;
    this.show(this.circuit);
    if (!isFitted) {
      this.isFitted = false;
      this.resize(zoom);
    }
    this.container.scrollTo(scrollLeft, scrollTop);
    this.mark(selected, false);
  }

  /** Shows the whole drawing, and goes on doing so while its place changes, until someone zooms. */
  fit() {
    this.isFitted = true;
    if (this.container.clientWidth === 0) {
      return; // its tab is not shown
    }
    const room = this.container.clientWidth - GUTTER - 16;
    const tall = this.container.clientHeight - 16;
    // Text must stay readable: what does not fit then is scrolled to.
    const smallest = this.layout.named ? this.smallestFit : 0.2;
    this.resize(Math.max(smallest, Math.min(1.4, room / this.layout.width, Math.max(tall / this.layout.height, 0.8))));
  }

  /** Where one is: the zoom, or "fit", and the point of the drawing in the middle; null where all of it is fitted in. */
  place() {
    const box = this.container;
    if (this.isFitted && box.scrollLeft === 0 && box.scrollTop === 0) {
      return null;
    }
    const x = (box.scrollLeft + box.clientWidth / 2 - GUTTER) / this.zoom;
    const y = (box.scrollTop + box.clientHeight / 2) / this.zoom;
    return [this.isFitted ? "fit" : round(this.zoom), Math.round(x), Math.round(y)].join(",");
  }

  onResize() {
    const place = this.awaited;
    if (place && this.container.clientWidth > 0) {
      this.goTo(place);
    } else if (this.isFitted) {
      this.fit();
    }
  }

  /** Goes to a place, as soon as the drawing is shown; null fits the drawing. */
  goTo(place) {
    this.awaited = this.container.clientWidth === 0 ? place : null;
    if (this.awaited) {
      return;
    }
    const [zoom, x, y] = (place ?? "fit").split(",");
    zoom === "fit" ? this.fit() : this.setZoom(Number(zoom) || 1);
    if (Number.isFinite(Number(x)) && Number.isFinite(Number(y))) {
      const box = this.container;
      box.scrollLeft = GUTTER + x * this.zoom - box.clientWidth / 2;
      box.scrollTop = y * this.zoom - box.clientHeight / 2;
    }
  }

  tellPlace() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.container.clientWidth > 0 && this.moved(this.place()), SETTLED);
  }

  /** Keeps the middle of what is seen where it is. */
  setZoom(zoom, anchor) {
    this.isFitted = false;
    const box = this.container;
    const at = anchor ?? { x: box.clientWidth / 2, y: box.clientHeight / 2 };
    const x = (box.scrollLeft + at.x - GUTTER) / this.zoom;
    const y = (box.scrollTop + at.y) / this.zoom;
    this.resize(zoom);
    box.scrollLeft = x * this.zoom + GUTTER - at.x;
    box.scrollTop = y * this.zoom - at.y;
  }

  resize(zoom) {
    this.zoom = Math.max(0.1, Math.min(6, zoom));
    this.svg.setAttribute("width", round(this.layout.width * this.zoom));
    this.svg.setAttribute("height", round(this.layout.height * this.zoom));
    this.labelRows();
    if (this.moved) {
      this.tellPlace();
    }
  }

  labelRows() {
    const layers = Map.groupBy(this.layout.rows, (row) => row.layer);
    const middle = (row) => ((row.top + row.bottom) / 2) * this.zoom - 8;
    const label = (kind, title, top, ...text) => h("div", { class: kind, title, style: `top:${round(top)}px` }, text);
    const locations = (row) => LOCATIONS.filter((entry) => entry.row === row.name).map((entry) => entry.location);
    fill(
      this.gutter,
      this.layout.rows.map((row) => label("row-name", locations(row).join(", ") || null, middle(row), this.markOf(row), row.name)),
      [...layers.entries()]
        .filter(([layer]) => layer >= 0 && layer !== Infinity)
        .map(([layer, [row]]) => {
          const top = (row.top - 16) * this.zoom;
          // in one line with the row's name there is less room
          return label("layer-name", null, top, middle(row) - top < 16 ? `L${layer}` : `layer ${layer}`);
        }),
    );
    this.gutter.style.height = round(this.layout.height * this.zoom) + "px";
  }

  /** A dot at the lowest row of an attention or MLP without which the loss rises much. */
  markOf(row) {
    const partOf = (entry) => entry.nodes[0].name.split(".").slice(0, 2).join(".");
    const part = partOf(row);
    const rise = this.circuit.layerEffects.get(part);
    const isLowest = this.layout.rows.findLast((entry) => partOf(entry) === part) === row;
    return rise > MARKED_RISE && isLowest
      ? h("span", { class: "mark", title: `without ${part} the loss rises by ${number(Number(rise.toPrecision(3)))} nats` }, "● ")
      : null;
  }

  onWheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const box = this.container.getBoundingClientRect();
      this.setZoom(this.zoom * Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
    }
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const along = (up) => alongEdge(this.selected, up, this.circuit, this.layout, this.threshold);
    const moves = {
      ArrowUp: () => along(true),
      ArrowDown: () => along(false),
      ArrowLeft: () => alongRow(this.selected, -1, this.layout),
      ArrowRight: () => alongRow(this.selected, 1, this.layout),
    };
    const zooms = { "+": () => this.setZoom(this.zoom * 1.25), "-": () => this.setZoom(this.zoom / 1.25), 0: () => this.fit() };
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      const next = this.selected ? move() : first(this.layout);
      if (next) {
        this.select(next);
      }
    } else if (zooms[event.key]) {
      event.preventDefault();
      zooms[event.key]();
    } else if (event.key === "Escape") {
      this.select(null);
    } else if (event.key === "Enter" && this.selected) {
      event.preventDefault();
      find("panel")?.focus(); // a report has none
    }
  }
}

const round = (value) => Math.round(value * 100) / 100;
