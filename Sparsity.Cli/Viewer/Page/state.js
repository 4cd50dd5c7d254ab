// What is seen, in the URL's fragment, so that a view can be shared: #circuit=0&node=1.mlp.post_act.12&hide=20

const listeners = [];
let state = parse();

/** A value of the state, as text; the fallback where it is not set. */
export const get = (key, fallback = null) => state[key] ?? fallback;

/** Sets values; those that are null or "" leave the fragment. Listeners hear which keys changed. */
export function set(changes) {
  const before = state;
  state = { ...state };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") {
      delete state[key];
    } else {
      state[key] = String(value);
    }
  }
  // Not location.hash: every step of a slider would become an entry of the history.
  history.replaceState(null, "", "#" + new URLSearchParams(state).toString());
  tell(before);
}

/** Calls back with the set of changed keys. */
export const onChange = (listener) => listeners.push(listener);

window.addEventListener("hashchange", () => {
  const before = state;
  state = parse();
  tell(before);
});

function tell(before) {
  const keys = new Set([...Object.keys(before), ...Object.keys(state)].filter((key) => before[key] !== state[key]));
  if (keys.size > 0) {
    listeners.forEach((listener) => listener(keys));
  }
}

function parse() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}
