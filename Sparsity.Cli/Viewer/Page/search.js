// The search field: nodes by name, by label, and by the tokens that write their channel.

import { fill, find, h } from "viewer/dom";
import * as labels from "viewer/labels";
import { plain } from "viewer/tokens";

const MOST_RESULTS = 40;

/** select: called with the node picked. circuit: gives the circuit on display. */
export function start(circuit, select) {
  const input = find("search");
  const list = find("results");
  const close = () => {
    list.hidden = true;
  };
  const update = () => {
    const hits = input.value.trim() ? matches(input.value, circuit()) : [];
    fill(
      list,
      hits.map(({ node, why }) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              onclick: () => {
                close();
                select(node);
              },
            },
            h("span", {}, node.title ?? node.name),
            " ",
            h("span", { class: "soft" }, why),
          ),
        ),
      ),
      input.value.trim() && hits.length === 0 ? h("li", { class: "soft" }, "nothing found") : null,
    );
    list.hidden = !input.value.trim();
  };
  input.addEventListener("input", update);
  input.addEventListener("focus", update);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      const first = list.querySelector("button");
      event.key === "Enter" ? first?.click() : first?.focus();
    } else if (event.key === "Escape") {
      input.value = "";
      close();
      find("canvas").focus();
    }
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step) {
      event.preventDefault();
      (document.activeElement.parentElement[step]?.querySelector("button") ?? input).focus();
    } else if (event.key === "Escape") {
      close();
      find("canvas").focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("#results, .search")) {
      close();
    }
  });
}

/** Best first: labels and names that begin with the text, then those that hold it, then tokens. */
export function matches(text, circuit) {
  const wanted = text.trim().toLowerCase();
  const hits = [];
  for (const node of [...circuit.nodes.values(), ...circuit.embeddings, ...circuit.logits.nodes]) {
    const label = labels.of(node.name);
    const tokens = node.kind.embedding
      ? [...(circuit.channels?.[node.channel]?.top ?? []), ...(circuit.channels?.[node.channel]?.bottom ?? [])]
      : [];
    const token = tokens.find((entry) => [entry.token, plain(entry.token)].some((form) => form.toLowerCase().includes(wanted)));
    const names = [label, node.name, node.title ?? ""].map((name) => name.toLowerCase());
    const rank = names.some((name) => name.startsWith(wanted)) ? 0 : names.some((name) => name.includes(wanted)) ? 1 : token ? 2 : null;
    if (rank !== null) {
      hits.push({ node, rank, why: rank === 2 ? `token ${token.token}` : label });
    }
  }
  return hits.sort((a, b) => a.rank - b.rank).slice(0, MOST_RESULTS);
}
