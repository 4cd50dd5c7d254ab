// Where things stand: rows from the embeddings at the bottom to the logits at the top, a column (lane) for each residual channel, and the
// nodes between lanes near what they are connected to. The same circuit always gets the same drawing.

import { headOf, LOCATIONS } from "viewer/names";
import { compact } from "viewer/tokens";

const MARGIN = 24;
const SWEEPS = 8;
const DIGIT = 7; // pixels of a character of a node's text
const BOLD = 8; // of a label
const LONGEST_LABEL = 18;
const WRITERS = 4; // tokens below an embedding
const WRITER_HEIGHT = 13;
const ROOMY = 72; // pixels between lanes where there are few, for the tokens' sake
const FEW_LANES = 14;
const FEW_NODES = 60; // stand closer together, to be seen at once

/** More nodes than this are drawn small and without their channel numbers. */
export const MOST_NAMED = 150;

/** The text beside a node: its label, shortened, or its channel. */
export function textOf(node, labelOf) {
  return shorten(labelOf(node.name) || node.title || String(node.channel), LONGEST_LABEL);
}

/**
 * { width, height, radius, named, places: Map(node → { x, y }), rows, lanes, boxes, writers, writerHeight }.
 * writers: Map(embedding → [{ text, weight }]), the tokens that write its channel most, for below it.
 */
export function layOut(circuit, labelOf) {
  const all = [...circuit.nodes.values()];
  const named = all.length <= MOST_NAMED;
  const radius = named ? 6 : 4;
  const widest = Math.max(
    3 * DIGIT,
    ...[...all, ...circuit.embeddings, ...circuit.logits.nodes].map(
      (node) => textOf(node, labelOf).length * (labelOf(node.name) ? BOLD : DIGIT),
    ),
  );
  const slot = named ? 2 * radius + 9 + widest : 12;
  const few = all.length <= FEW_NODES;
  const lineHeight = few ? 26 : named ? 30 : 15;
  const gap = few ? 32 : named ? 44 : 90; // many edges need height to be told apart
  const rows = makeRows(circuit, all, slot, lineHeight);

  const channels = orderLanes(circuit, all);
  const hidden = Math.max(0, ...rows.map((row) => row.blocks.reduce((sum, block) => sum + block.width, 0)));
  const laneSlot = named && circuit.channels && channels.length <= FEW_LANES ? Math.max(slot, ROOMY) : slot;
  const inner = Math.max(channels.length * laneSlot, Math.min(hidden, 1500), Math.max(4 * slot, 420));
  const writers = named ? findWriters(circuit, inner / channels.length) : new Map();
  const laneAt = new Map(channels.map((channel, i) => [channel, MARGIN + ((i + 0.5) * inner) / channels.length]));

  const places = new Map();
  const boxes = [];
  let y = MARGIN + 8;
  let previous = null;
  for (const row of rows) {
    // from the top
    if (previous !== null && previous !== row.layer) {
      y += 14;
    }
    if (row.blocks.some((block) => block.box)) {
      y += 10; // for the heads' names
    }
    previous = row.layer;
    row.top = y;
    const height = row.lane ? lineHeight : placeBlocks(row, inner, y, lineHeight, laneAt, places, boxes);
    if (row.lane) {
      row.nodes.forEach((node) => places.set(node, { x: laneAt.get(node.channel), y: y + lineHeight / 2 }));
    }
    row.bottom = y + height;
    if (row.nodes.some((node) => writers.has(node))) {
      row.bottom += Math.max(...row.nodes.map((node) => writers.get(node)?.length ?? 0)) * WRITER_HEIGHT;
    }
    y = row.bottom + gap;
  }
  const height = y - gap + MARGIN;
  return {
    width: inner + 2 * MARGIN,
    height,
    radius,
    named,
    places,
    rows,
    boxes,
    lanes: laneEnds(places, laneAt),
    writers,
    writerHeight: WRITER_HEIGHT,
  };
}

/** The tokens that write each embedding's channel most, positive or negative, as long as the room between lanes allows. */
function findWriters(circuit, spacing) {
  const longest = Math.floor(spacing / DIGIT) - 1;
  const writers = new Map();
  for (const node of longest < 4 ? [] : circuit.embeddings) {
    const ends = circuit.channels?.[node.channel];
    const strongest = [...new Map([...(ends?.top ?? []), ...(ends?.bottom ?? [])].map((entry) => [entry.token, entry])).values()]
      .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
      .slice(0, WRITERS);
    if (strongest.length > 0) {
      writers.set(
        node,
        strongest.map(({ token, weight }) => ({ text: shorten(compact(token), longest), weight })),
      );
    }
  }
  return writers;
}

const shorten = (text, longest) => (text.length > longest ? text.slice(0, longest - 1) + "…" : text);

/** Rows from the top. A row holds nodes on lanes, or blocks: single neurons, heads with their q, k and v, or logits. */
function makeRows(circuit, all, slot, lineHeight) {
  const rows = [];
  if (circuit.logits.edges.length > 0) {
    rows.push({
      layer: Infinity,
      name: "logits",
      blocks: circuit.logits.nodes.map((node) => single(node, Math.max(1.6 * slot, 60))),
      nodes: circuit.logits.nodes,
    });
  }
  const layers = [...new Set(all.map((node) => node.layer))].sort((a, b) => b - a);
  for (const layer of layers) {
    for (const name of [...new Set(LOCATIONS.map((entry) => entry.row))].reverse()) {
      const nodes = all.filter((node) => node.layer === layer && node.kind.row === name);
      if (nodes.length > 0) {
        const lane = nodes[0].kind.lane ?? false;
        rows.push({
          layer,
          name,
          nodes,
          lane,
          blocks: lane ? [] : nodes[0].kind.head ? heads(nodes, circuit.model, slot, lineHeight) : nodes.map((node) => single(node, slot)),
        });
      }
    }
  }
  if (circuit.embeddings.length > 0) {
    rows.push({ layer: -1, name: "embeddings", nodes: circuit.embeddings, lane: true, blocks: [] });
  }
  return rows;
}

const single = (node, slot) => ({ nodes: [node], width: slot, height: 0, cells: [{ node, x: 0, y: 0 }] });

/** A block per head, q before k before v, several lines where it has many nodes. */
function heads(nodes, model, slot, lineHeight) {
  const byHead = Map.groupBy(nodes, (node) => headOf(node, model) ?? -1);
  return [...byHead.keys()]
    .sort((a, b) => a - b)
    .map((head) => {
      const columns = [];
      const across = Math.max(2, Math.ceil(Math.sqrt(byHead.get(head).length)));
      let left = 0;
      const cells = [];
      for (const part of ["q", "k", "v"]) {
        const members = byHead
          .get(head)
          .filter((node) => node.kind.head === part)
          .sort((a, b) => a.channel - b.channel);
        if (members.length > 0) {
          members.forEach((node, i) => cells.push({ node, x: left + (i % across) * slot, y: 14 + Math.floor(i / across) * lineHeight }));
          columns.push({ part, x: left });
          left += Math.min(across, members.length) * slot + 8;
        }
      }
      const width = left + 14;
      const shift = -left / 2 + slot / 2 + 2;
      cells.forEach((cell) => (cell.x += shift));
      return {
        nodes: byHead.get(head),
        cells,
        width: width + 10,
        height: Math.max(...cells.map((cell) => cell.y)) + 6,
        box: {
          width,
          title: head < 0 ? "" : `head ${head}`,
          columns: columns.map((column) => ({ part: column.part, x: column.x + shift })),
        },
      };
    });
}

/**
 * Channels from left to right, so that what belongs together stands together: alternately lanes and nodes between them move to the mean of
 * their neighbours.
 */
function orderLanes(circuit, all) {
  const channels = [...new Set([...all, ...circuit.embeddings].filter((node) => node.kind.lane).map((node) => node.channel))].sort(
    (a, b) => a - b,
  );
  let order = new Map(channels.map((channel, i) => [channel, i]));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const sums = new Map(channels.map((channel) => [channel, [0, 0]]));
    for (const node of all.filter((entry) => !entry.kind.lane)) {
      const centre = barycentre(node, (lane) => order.get(lane.channel));
      if (centre !== null) {
        for (const edge of [...node.in, ...node.out]) {
          const lane = edge.from === node ? edge.to : edge.from;
          const sum = sums.get(lane.channel);
          sum[0] += centre * Math.abs(edge.weight);
          sum[1] += Math.abs(edge.weight);
        }
      }
    }
    const wanted = channels.map((channel) => [
      channel,
      sums.get(channel)[1] > 0 ? sums.get(channel)[0] / sums.get(channel)[1] : order.get(channel),
    ]);
    wanted.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    order = new Map(wanted.map(([channel], i) => [channel, i]));
  }
  return [...order.keys()];
}

/** The mean of a node's neighbours, weighted by the size of the weights; null where it has none. */
function barycentre(node, at) {
  let sum = 0;
  let weights = 0;
  for (const edge of [...node.in, ...node.out]) {
    const weight = Math.abs(edge.weight);
    sum += weight * at(edge.from === node ? edge.to : edge.from);
    weights += weight;
  }
  return weights > 0 ? sum / weights : null;
}

/** Puts blocks near their neighbours without overlap, on as many lines as they need. Returns the row's height. */
function placeBlocks(row, inner, top, lineHeight, laneAt, places, boxes) {
  const blocks = row.blocks.map((block) => {
    const centres = block.nodes.map((node) => barycentre(node, (lane) => laneAt.get(lane.channel))).filter((centre) => centre !== null);
    return {
      ...block,
      wanted: centres.length > 0 ? centres.reduce((sum, centre) => sum + centre, 0) / centres.length : MARGIN + inner / 2,
    };
  });
  blocks.sort((a, b) => a.wanted - b.wanted || a.nodes[0].channel - b.nodes[0].channel);
  const total = blocks.reduce((sum, block) => sum + block.width, 0);
  const lines = Math.max(1, Math.ceil(total / inner));
  let y = top;
  for (let line = 0; line < lines; line++) {
    // Every line spans the whole width: block after block goes to the next line.
    const members = blocks.filter((_, i) => i % lines === line);
    const height = Math.max(0, ...members.map((block) => block.height)) + lineHeight;
    spread(members, MARGIN, MARGIN + inner);
    for (const block of members) {
      for (const cell of block.cells) {
        places.set(cell.node, { x: block.x + cell.x, y: y + lineHeight / 2 + cell.y });
      }
      if (block.box) {
        boxes.push({
          ...block.box,
          x: block.x - block.box.width / 2,
          centre: block.x,
          y: y - 4,
          height: block.height + lineHeight + 2,
          layer: row.layer,
        });
      }
    }
    y += height + 8;
  }
  return y - 8 - top;
}

/**
 * Sets x of blocks in their order, as near as can be (least squares) to where they want to be, without overlap; then moved inside the
 * field.
 */
function spread(blocks, left, right) {
  const clusters = [];
  let offset = 0;
  for (const block of blocks) {
    block.offset = offset + block.width / 2;
    offset += block.width;
    clusters.push({ sum: block.wanted - block.offset, blocks: [block] });
    while (clusters.length > 1 && mean(clusters.at(-2)) >= mean(clusters.at(-1))) {
      const last = clusters.pop();
      clusters.at(-1).sum += last.sum;
      clusters.at(-1).blocks.push(...last.blocks);
    }
  }
  const span = offset;
  for (const cluster of clusters) {
    const start = Math.max(left, Math.min(mean(cluster), right - span));
    cluster.blocks.forEach((block) => (block.x = start + block.offset));
  }
}

const mean = (cluster) => cluster.sum / cluster.blocks.length;

/** A vertical line from the lowest to the highest node of each channel. */
function laneEnds(places, laneAt) {
  const ends = new Map();
  for (const [node, place] of places) {
    if (node.kind.lane) {
      const end = ends.get(node.channel) ?? { channel: node.channel, x: laneAt.get(node.channel), top: place.y, bottom: place.y };
      end.top = Math.min(end.top, place.y);
      end.bottom = Math.max(end.bottom, place.y);
      ends.set(node.channel, end);
    }
  }
  return [...ends.values()];
}
