// Elements and colours. Text enters the page as text nodes only.

const data = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes, listeners ("onclick") and children; strings become text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

/** Text whose direction does not spill over. */
const own = (text) => el("bdi", {}, text);

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const probe = el("span", { hidden: true });
document.body.append(probe);

/** What a custom property means in the theme that is shown, as "rgb(...)". */
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const channels = (rgb) => rgb.match(/[\d.]+/g).slice(0, 3).map(Number);
const faded = (rgb, opacity) => `rgba(${channels(rgb).join(",")},${opacity})`;

/** A colour between the first (0) and the last (1) of the page's scale. */
function scaled(share) {
  const at = Math.min(3.999, 4 * share);
  const [from, to] = [channels(colour(`scale-${Math.floor(at)}`)), channels(colour(`scale-${Math.floor(at) + 1}`))];
  return `rgb(${from.map((c, i) => Math.round(c + (to[i] - c) * (at % 1))).join(",")})`;
}

const captioned = (text) => el("caption", {}, el("span", {}, text));

/** A table from heads and rows of strings or nodes, the first column heading its row. `kind`: "tall" scrolls, "prose" wraps. */
function simpleTable(caption, heads, rows, kind = "") {
  const head = heads.map((text, i) => el("th", { scope: "col", class: i === 0 ? "entry" : null }, text));
  const body = rows.map((row) =>
    el("tr", {}, row.map((cell, i) => (i === 0 ? el("th", { scope: "row", class: typeof cell === "string" ? "short" : null }, cell) : el("td", {}, cell)))),
  );
  return el(
    "div",
    { class: `scroll ${kind}`, tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, captioned(caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)),
  );
}
