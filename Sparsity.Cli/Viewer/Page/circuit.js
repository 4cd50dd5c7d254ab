// A circuit with its graph: every node knows the edges and residual links that end at it.

import { parse } from "viewer/names";
import { compact } from "viewer/tokens";

/**
 * From the document of a circuit: { circuit, has, model, readout, channels }.
 * nodes: Map from name to { id, name, layer, channel, kind, data, in, out, from, to }; embeddings are nodes with kind.embedding, logits
 * with kind.logit.
 * edges: { from, to, weight, effect }, nodes at both ends; effect is undefined where it is not known. links: { from, to, channel }: a write
 * of a residual channel and a later read.
 */
export function open(source) {
  const circuit = source.circuit;
  const nodes = new Map();
  for (const data of circuit.nodes) {
    const parsed = parse(data.name);
    if (parsed) {
      nodes.set(data.name, node(parsed, data));
    }
  }
  const edges = [];
  for (const { from, to, weight, effect } of circuit.edges) {
    const edge = { from: nodes.get(from), to: nodes.get(to), weight, effect };
    if (edge.from && edge.to) {
      edge.from.out.push(edge);
      edge.to.in.push(edge);
      edges.push(edge);
    }
  }
  const strongest = (a, b) => Math.abs(b.weight) - Math.abs(a.weight);
  for (const entry of nodes.values()) {
    entry.in.sort(strongest);
    entry.out.sort(strongest);
  }
  const embeddings = addEmbeddings(nodes, source.model);
  const links = addLinks([...nodes.values(), ...embeddings]);
  const logits = addLogits(source.readout, [...nodes.values()]);
  return {
    ...source,
    circuit,
    nodes,
    edges,
    embeddings,
    links,
    logits,
    layerEffects: layerEffectsOf(circuit),
    largest: largestOf(edges),
    largestEffect: edges.reduce((most, edge) => Math.max(most, sizeOf(edge, "effect")), 0),
  };
}

/** A rise of the loss, in nats, from which on an attention or MLP is marked. */
export const MARKED_RISE = 0.3;

/** Map from an attention or MLP, such as "0.attn", to how much the loss rises with all of its nodes frozen; empty where not recorded. */
function layerEffectsOf({ measurements, imported }) {
  const effects =
    Object.keys(imported?.layer_losses ?? {}).length > 0 && imported.stored_loss !== null
      ? Object.entries(imported.layer_losses).map(([part, value]) => [part, value - imported.stored_loss])
      : Object.entries(measurements.layer_effects ?? {});
  const place = ([part]) => 2 * Number(part.split(".")[0]) + (part.endsWith("mlp") ? 1 : 0);
  return new Map(effects.sort((a, b) => place(a) - place(b)));
}

/** How large an edge is by its weight, or by its effect. */
export const sizeOf = (edge, by) => Math.abs((by === "effect" ? edge.effect : edge.weight) ?? 0);

const largestOf = (edges) => edges.reduce((most, edge) => Math.max(most, sizeOf(edge)), 0);

const node = (parsed, data) => ({ ...parsed, data, in: [], out: [], from: [], to: [] });

/** One for every residual channel that something reads before any node could have written it. */
function addEmbeddings(nodes, model) {
  const channels = new Set();
  for (const entry of nodes.values()) {
    if (entry.kind.reads && (!model || entry.channel < model.d_model)) {
      channels.add(entry.channel);
    }
  }
  return [...channels]
    .sort((a, b) => a - b)
    .map((channel) =>
      node(
        {
          name: `embedding.${channel}`,
          layer: -1,
          channel,
          kind: { location: "embedding", lane: true, writes: true, embedding: true, order: 0, text: "embedding" },
        },
        null,
      ),
    );
}

/** What writes a residual channel and everything that reads it later. */
function addLinks(all) {
  const byChannel = Map.groupBy(
    all.filter((entry) => entry.kind.lane),
    (entry) => entry.channel,
  );
  const links = [];
  for (const lane of byChannel.values()) {
    for (const from of lane.filter((entry) => entry.kind.writes)) {
      for (const to of lane.filter((entry) => entry.kind.reads && isAfter(entry, from))) {
        const link = { from, to, channel: from.channel };
        from.to.push(link);
        to.from.push(link);
        links.push(link);
      }
    }
  }
  return links;
}

const isAfter = (a, b) => a.layer > b.layer || (a.layer === b.layer && a.kind.order > b.kind.order);

/**
 * The two answers, or one node for all logits where they are not known, and which channels written by nodes reach them with which weight.
 */
function addLogits(readout, all) {
  const kind = { location: "logit", logit: true, order: 0, text: "logit" };
  const nodes = readout
    ? readout.answers.map((answer, i) =>
        node({ name: `logit.${i}`, layer: Infinity, channel: i, kind, title: compact(answer.text), answer }, null),
      )
    : [node({ name: "logit.0", layer: Infinity, channel: 0, kind, title: "logits" }, null)];
  const weights = new Map((readout?.channels ?? []).map((entry) => [entry.channel, entry.weights]));
  const edges = [];
  // Where final_resid has nodes, nothing but them reaches the logits: its other channels are frozen.
  const final = all.filter((entry) => entry.kind.final);
  for (const from of final.length > 0 ? final : all.filter((entry) => entry.kind.writes)) {
    nodes.forEach((to, i) => {
      const weight = weights.get(from.channel)?.[i] ?? null;
      if (!readout || weight) {
        edges.push({ from, to, weight });
      }
    });
  }
  // The last write of a channel carries the line to the logits; the earlier ones only count as its sources.
  const last = new Map();
  for (const edge of edges) {
    const known = last.get(edge.from.channel);
    if (!known || isAfter(edge.from, known)) {
      last.set(edge.from.channel, edge.from);
    }
  }
  return { nodes, edges, drawn: edges.filter((edge) => last.get(edge.from.channel) === edge.from), largest: largestOf(edges) };
}
