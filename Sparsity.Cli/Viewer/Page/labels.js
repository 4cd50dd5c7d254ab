// Names that people give to nodes. They belong to the model, not to one circuit, and are kept in the browser.

let key = null;
let labels = {};

/** Takes the labels of one model; given ones fill in where the browser has none. */
export function open(fingerprint, given) {
  key = "sparsity-labels:" + fingerprint;
  labels = { ...given, ...readStored() };
}

export const of = (name) => labels[name] ?? "";

export const all = () => labels;

/** Sets or, with an empty text, removes a label. */
export function set(name, text) {
  const trimmed = text.trim();
  if (trimmed) {
    labels[name] = trimmed;
  } else {
    delete labels[name];
  }
  store();
}

/** Adds labels from a file that was exported: { "labels": { node: text } }. Returns how many. */
export function importText(text) {
  const read = JSON.parse(text);
  if (typeof read?.labels !== "object" || Object.values(read.labels).some((label) => typeof label !== "string")) {
    throw new Error('not a file of labels: expected { "labels": { "NODE": "text" } }');
  }
  labels = { ...labels, ...read.labels };
  store();
  return Object.keys(read.labels).length;
}

export const exportText = (fingerprint) => JSON.stringify({ model_fingerprint: fingerprint, labels }, null, 2) + "\n";

function readStored() {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}");
  } catch {
    return {}; // storage may be refused or damaged: labels then last as long as the page
  }
}

function store() {
  try {
    localStorage.setItem(key, JSON.stringify(labels));
  } catch {
    // as above
  }
}
