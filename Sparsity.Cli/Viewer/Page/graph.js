// Draws a circuit as SVG and lets people move in it: hover, select, follow edges by keyboard, hide weak edges, zoom.

import { count, fill, find, number, s, h, signed } from "viewer/dom";
import { describe } from "viewer/names";
import { layOut, textOf } from "viewer/layout";
import * as labels from "viewer/labels";
import * as state from "viewer/state";

const GUTTER = 84;

export class Graph {
  /** select: called with a node or null when the user picks one. smallestFit: how far fitting may shrink text. */
  constructor(container, select, smallestFit = 0.8) {
    this.container = container;
    this.select = select;
    this.smallestFit = smallestFit;
    this.zoom = 1;
    this.selected = null;
    container.addEventListener("keydown", (event) => this.onKey(event));
    container.addEventListener("pointermove", (event) => this.onPointer(event));
    container.addEventListener("pointerleave", () => this.hover(null));
    container.addEventListener("click", (event) => this.onClick(event));
    container.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  /** Draws a circuit from anew. */
  show(circuit) {
    this.circuit = circuit;
    this.layout = layOut(circuit, labels.of);
    this.selected = null;
    this.elements = new Map();
    this.lines = new Map();
    const { width, height } = this.layout;
    this.svg = s("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, role: "presentation", "data-named": this.layout.named },
      this.bands(), this.lanes(),
      s("g", { class: "boxes" }, this.layout.boxes.map((box) => s("rect", { class: "box", x: box.x, y: box.y, width: box.width, height: box.height, rx: 5 }))),
      s("g", { class: "links" }, circuit.links.map((link) => this.line(link, "link"))),
      s("g", { class: "edges", "stroke-opacity": this.opacity() }, circuit.edges.map((edge) => this.line(edge, "edge")).sort((a, b) => a.dataset.size - b.dataset.size)),
      s("g", { class: "readouts" }, circuit.logits.drawn.map((edge) => this.line(edge, "readout"))),
      this.boxTitles(),
      s("g", { class: "nodes" }, [...circuit.embeddings, ...circuit.nodes.values(), ...circuit.logits.nodes].filter((node) => this.layout.places.has(node)).map((node) => this.node(node))));
    this.gutter = h("div", { class: "gutter", "aria-hidden": "true" });
    this.hideWeak(Number(state.get("hide", "0")));
    this.fit(); // before the drawing is in the page: thousands of elements are laid out once, not twice
    fill(this.container, this.gutter, this.svg);
  }

  bands() {
    const layers = Map.groupBy(this.layout.rows, (row) => row.layer);
    return s("g", { class: "bands" }, [...layers.values()].map((rows) => {
      const top = Math.min(...rows.map((row) => row.top)) - 18;
      const bottom = Math.max(...rows.map((row) => row.bottom)) + 12;
      return s("rect", { class: "band", x: 2, y: top, width: this.layout.width - 4, height: bottom - top, rx: 8 });
    }));
  }

  lanes() {
    return s("g", { class: "lanes" }, this.layout.lanes.map((lane) => s("line", { class: "lane", x1: lane.x, x2: lane.x, y1: lane.bottom, y2: lane.top })));
  }

  boxTitles() {
    return s("g", { class: "box-titles" }, this.layout.boxes.map((box) => [
      s("text", { class: "box-title", x: box.x + 2, y: box.y - 4 }, box.width < 42 ? box.title.replace("head ", "h") : box.title),
      box.columns.map((column) => s("text", { class: "box-part", x: box.centre + column.x - 4, y: box.y + 11 }, column.part)),
    ]));
  }

  line(edge, kind) {
    const from = this.layout.places.get(edge.from);
    const to = this.layout.places.get(edge.to);
    const largest = kind === "readout" ? this.circuit.logits.largest : this.circuit.largest;
    const size = edge.weight && largest > 0 ? Math.abs(edge.weight) / largest : 0;
    const sign = edge.weight > 0 ? " positive" : edge.weight < 0 ? " negative" : "";
    // What reaches the logits stays in its lane up to the last row below them.
    const start = kind === "readout" ? Math.max(to.y + 30, this.layout.rows[1].top - 6) : from.y;
    const middle = (start + to.y) / 2;
    const path = from.x === to.x ? `M${round(from.x)} ${round(from.y)}V${round(to.y)}`
      : `M${round(from.x)} ${round(from.y)}V${round(start)}C${round(from.x)} ${round(middle)} ${round(to.x)} ${round(middle)} ${round(to.x)} ${round(to.y)}`;
    const width = (this.layout.named ? 0.6 : 0.4) + (this.layout.named ? 3.2 : 2) * size;
    const element = s("path", { class: kind + sign, d: path, "stroke-width": kind === "link" ? null : round(width), "data-size": size });
    element.edge = edge;
    this.lines.set(edge, element);
    return element;
  }

  /** Thousands of lines must not become one dark area. */
  opacity() {
    return round(Math.max(0.15, Math.min(0.75, 1500 / this.circuit.edges.length)));
  }

  node(node) {
    const { x, y } = this.layout.places.get(node);
    const r = this.layout.radius;
    const text = this.layout.named || node.kind.logit || labels.of(node.name) ? textOf(node, labels.of) : null;
    const shape = node.kind.embedding ? s("rect", { class: "shape", x: round(x - r + 1), y: round(y - r + 1), width: 2 * r - 2, height: 2 * r - 2 })
      : node.kind.logit ? s("rect", { class: "shape", x: round(x - r), y: round(y - r), width: 2 * r, height: 2 * r, rx: 2, transform: `rotate(45 ${round(x)} ${round(y)})` })
      : s("circle", { class: "shape", cx: round(x), cy: round(y), r });
    const kind = node.kind.embedding ? " embedding" : node.kind.logit ? " logit" : "";
    const element = s("g", { class: "node" + kind + (labels.of(node.name) ? " labelled" : ""), id: `${this.container.id}:${node.name}`, "data-name": node.name, role: "img", "aria-label": this.title(node) },
      shape, text === null ? null : s("text", { class: "name", x: round(x + r + 3), y: round(y + 4) }, text));
    element.node = node;
    this.elements.set(node, element);
    return element;
  }

  /** For screen readers and the tooltip's first line. */
  title(node) {
    const label = labels.of(node.name);
    const what = node.kind.logit ? `logit of ${node.title}` : node.kind.embedding ? `embedding, residual channel ${node.channel}` : node.name;
    return label ? `${label} (${what})` : what;
  }

  onPointer(event) {
    const element = event.target.closest?.(".node") ?? event.target.closest?.(".edge, .link, .readout");
    this.hover(element, event);
  }

  hover(element, event) {
    const tooltip = find("tooltip");
    if (this.hovered !== element) {
      this.hovered?.classList.remove("hovered");
      this.hovered = element;
      element?.classList.add("hovered");
      tooltip.hidden = !element;
      if (element) {
        fill(tooltip, element.node ? this.nodeSummary(element.node) : this.edgeSummary(element.edge));
      }
    }
    if (element) {
      const { offsetWidth, offsetHeight } = tooltip;
      tooltip.style.left = Math.max(4, Math.min(event.clientX + 14, window.innerWidth - offsetWidth - 8)) + "px";
      tooltip.style.top = Math.max(4, Math.min(event.clientY + 14, window.innerHeight - offsetHeight - 8)) + "px";
    }
  }

  nodeSummary(node) {
    const tokens = this.circuit.channels?.[node.channel];
    return [
      h("strong", {}, this.title(node)),
      node.data || node.kind.embedding ? h("div", { class: "soft" }, node.kind.embedding ? "what tokens write into the residual stream" : describe(node, this.circuit.model)) : null,
      node.data ? h("div", {}, `${count(node.in.length)} weights in${node.in.length ? `, strongest ${signed(node.in[0].weight)}` : ""}; ${count(node.out.length)} out${node.out.length ? `, strongest ${signed(node.out[0].weight)}` : ""}`) : null,
      node.data ? h("div", {}, `tau ${number(node.data.tau)}, mean ${number(node.data.mean)}${node.data.bias === null ? "" : `, bias ${number(node.data.bias)}`}`) : null,
      node.kind.embedding && tokens ? h("div", {}, `most written by ${tokens.top.slice(0, 5).map((entry) => entry.token).join(" ")}; least by ${tokens.bottom.slice(0, 5).map((entry) => entry.token).join(" ")}`) : null,
      node.data ? h("div", {}, "ablation effect: " + this.effectText(node)) : null,
    ];
  }

  /** What the task loss becomes when the node is frozen, as far as recorded. */
  effectText(node) {
    const effect = node.data.ablation_effect ?? this.circuit.statistics?.nodes?.[node.name]?.ablation_effect;
    return effect === undefined || effect === null ? "not recorded" : `${signed(effect)} nats`;
  }

  edgeSummary(edge) {
    const what = edge.channel !== undefined ? `residual channel ${edge.channel}` : edge.to.kind.logit ? (edge.weight === null ? "read by the logits" : `direct weight ${signed(edge.weight)}`) : `weight ${signed(edge.weight)}`;
    return [h("strong", {}, what), h("div", {}, `${this.title(edge.from)} → ${this.title(edge.to)}`)];
  }

  onClick(event) {
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
    const sizes = this.circuit.edges.map((edge) => Math.abs(edge.weight)).sort((a, b) => a - b);
    const threshold = share <= 0 || sizes.length === 0 ? 0 : sizes[Math.min(sizes.length - 1, Math.floor((sizes.length * share) / 100))];
    let shown = 0;
    const kept = new Set();
    for (const edge of this.circuit.edges) {
      const visible = Math.abs(edge.weight) >= threshold;
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
    return { threshold, shown };
  }

  showLinks(shown) {
    this.svg.classList.toggle("without-links", !shown);
  }

  /** Lays out again after labels changed, keeping selection and position. */
  relabel() {
    const { scrollLeft, scrollTop } = this.container;
    const { zoom, selected } = this;
    this.show(this.circuit);
    this.setZoom(zoom);
    this.container.scrollTo(scrollLeft, scrollTop);
    this.mark(selected, false);
  }

  /** Fits the drawing once its place has a size: it had none while another tab was shown. */
  resized() {
    if (!this.fitted && this.circuit) {
      this.fit();
    }
  }

  fit() {
    this.fitted = this.container.clientWidth > 0;
    if (!this.fitted) {
      return;
    }
    const room = this.container.clientWidth - GUTTER - 16;
    const tall = this.container.clientHeight - 16;
    // Text must stay readable: what does not fit then is scrolled to.
    const smallest = this.layout.named ? this.smallestFit : 0.2;
    this.resize(Math.max(smallest, Math.min(1.4, room / this.layout.width, Math.max(tall / this.layout.height, 0.8))));
  }

  /** Keeps the middle of what is seen where it is. */
  setZoom(zoom, anchor) {
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
  }

  labelRows() {
    const layers = Map.groupBy(this.layout.rows, (row) => row.layer);
    fill(this.gutter,
      this.layout.rows.map((row) => h("div", { class: "row-name", style: `top:${round(((row.top + row.bottom) / 2) * this.zoom - 8)}px` }, row.name)),
      this.zoom < 0.35 ? null : [...layers.entries()].filter(([layer]) => layer >= 0 && layer !== Infinity).map(([layer, rows]) =>
        h("div", { class: "layer-name", style: `top:${round((Math.min(...rows.map((row) => row.top)) - 16) * this.zoom)}px` }, `layer ${layer}`)));
    this.gutter.style.height = round(this.layout.height * this.zoom) + "px";
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
    const moves = { ArrowUp: () => this.alongEdge(true), ArrowDown: () => this.alongEdge(false), ArrowLeft: () => this.alongRow(-1), ArrowRight: () => this.alongRow(1) };
    const zooms = { "+": () => this.setZoom(this.zoom * 1.25), "-": () => this.setZoom(this.zoom / 1.25), 0: () => this.fit() };
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      const next = this.selected ? move() : this.first();
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
      find("panel").focus();
    }
  }

  first() {
    return this.layout.rows.at(-1)?.nodes[0] ?? null;
  }

  /** The other end of the strongest visible weight; failing that of a residual link or a logit's line. */
  alongEdge(up) {
    const node = this.selected;
    const ends = (edges) => edges.filter((edge) => Math.abs(edge.weight) >= this.threshold).map((edge) => (up ? edge.to : edge.from));
    const links = (up ? node.to : node.from).map((link) => (up ? link.to : link.from));
    const nearest = links.sort((a, b) => Math.abs(this.layout.places.get(a).y - this.layout.places.get(node).y) - Math.abs(this.layout.places.get(b).y - this.layout.places.get(node).y));
    const readouts = this.circuit.logits.drawn.filter((edge) => (up ? edge.from : edge.to) === node).map((edge) => (up ? edge.to : edge.from));
    return [...ends(up ? node.out : node.in), ...nearest, ...readouts][0] ?? null;
  }

  /** The neighbour in the row, from its end to its beginning. */
  alongRow(step) {
    const row = this.layout.rows.find((entry) => entry.nodes.includes(this.selected));
    const order = [...row.nodes].sort((a, b) => this.layout.places.get(a).x - this.layout.places.get(b).x || this.layout.places.get(a).y - this.layout.places.get(b).y);
    return order[(order.indexOf(this.selected) + step + order.length) % order.length];
  }
}

const round = (value) => Math.round(value * 100) / 100;
