// The row of tabs: one panel shown at a time, arrow keys between them, the choice kept in the URL.

import { fill, find, h } from "viewer/dom";
import * as state from "viewer/state";

const tabs = [];

/** Adds a tab. open: called, with the panel, each time it comes into view or the state changes while it is in view; may be async. */
export function add(id, title, open) {
  const panel =
    find("tab-" + id) ??
    document
      .querySelector("main")
      .appendChild(
        h("section", { id: "tab-" + id, role: "tabpanel", "aria-labelledby": "tab-button-" + id, class: "page", tabindex: "0" }),
      );
  const button = h(
    "button",
    {
      type: "button",
      role: "tab",
      id: "tab-button-" + id,
      "aria-controls": panel.id,
      onclick: () => state.set({ tab: id === tabs[0].id ? null : id }),
      onkeydown: onKey,
    },
    title,
  );
  find("tabs").append(button);
  panel.hidden = tabs.length > 0;
  tabs.push({ id, button, panel, open });
}

/** Shows the tab that the state names. */
export async function show() {
  const current = tabs.find((tab) => tab.id === state.get("tab")) ?? tabs[0];
  for (const tab of tabs) {
    tab.panel.hidden = tab !== current;
    tab.button.setAttribute("aria-selected", tab === current);
    tab.button.tabIndex = tab === current ? 0 : -1;
  }
  find("tabs").hidden = tabs.length < 2;
  try {
    await current.open(current.panel);
  } catch (error) {
    delete current.panel.dataset.shown; // tried again next time
    fill(current.panel, h("p", { class: "bad" }, error.message));
  }
}

function onKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) {
    const at = tabs.findIndex((tab) => tab.button === event.currentTarget);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    next.button.focus();
    next.button.click();
  }
}
