// Elements in one expression: h("p", { class: "soft" }, "text", h("b", {}, "more")).

const SVG = "http://www.w3.org/2000/svg";

export const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);

export const s = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

/**
 * Attributes that are null or false are left out; on… functions become listeners. Children that are null are left out; strings become text,
 * never markup.
 */
function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) {
      append(element, child);
    } else if (child !== null && child !== undefined && child !== false) {
      element.append(child);
    }
  }
}

export const find = (id) => document.getElementById(id);

/** Puts children in place of what an element held. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** A number for people: four significant digits, true minus sign. */
export function number(value) {
  if (value === null || value === undefined) {
    return "–";
  }
  if (!Number.isFinite(value)) {
    return String(value);
  }
  const size = Math.abs(value);
  const text = value === 0 ? "0" : size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

/** The same with a plus sign in front of positive numbers. */
export const signed = (value) => (value > 0 ? "+" : "") + number(value);

/** A loss in nats, three decimals. */
export const loss = (value) => (Number.isFinite(value) ? value.toFixed(3) : "–");

export const percent = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "–");

/** A whole number with thin spaces between thousands. */
export const count = (value) => (value ?? 0).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");

/** Offers text or a blob as a file. */
export function download(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** A select with its label. options: values, or pairs of value and text. */
export function choice(title, options, current, choose) {
  const pairs = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  return h(
    "p",
    {},
    h(
      "label",
      {},
      title + " ",
      h(
        "select",
        { onchange: (event) => choose(event.target.value) },
        pairs.map(([value, text]) => h("option", { value, selected: value === current }, text)),
      ),
    ),
  );
}
