// What a line looks like, and buttons that show and hide lines.

const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"];
const DASHES = ["solid", "longdash", "dot"];
const STROKES = { solid: "", dash: "5 3", longdash: "8 3", dot: "2 3", dashdot: "6 2 2 2" };
const SHAPES = {
  circle: "M16 5a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  square: "M12.5 5.5h7v7h-7z",
  "triangle-up": "M16 4.5l4.5 8h-9z",
  "triangle-down": "M16 13.5l4.5-8h-9z",
  diamond: "M16 4l5 5-5 5-5-5z",
  cross: "M14.5 4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
  x: "M13.2 4.2L16 7l2.8-2.8 2 2L18 9l2.8 2.8-2 2L16 11l-2.8 2.8-2-2L14 9l-2.8-2.8z",
  star: "M16 3.5l1.6 3.6 3.9.4-2.9 2.6.8 3.9-3.4-2-3.4 2 .8-3.9-2.9-2.6 3.9-.4z",
};

/** Colour, symbol and dash of an entry, the same in all charts: combinations repeat after 56 entries, not before. */
function lookOf(entry) {
  const [dense, place] = data.styles[entry];
  if (dense) return { colour: colour(`dense-${place % 3}`), symbol: null, dash: "dash" };
  return {
    colour: colour(`series-${place % 7}`),
    symbol: SYMBOLS[place % SYMBOLS.length],
    dash: DASHES[Math.floor(place / 7) % DASHES.length],
  };
}

function swatch({ colour: rgb, symbol, dash }) {
  const line = svg("path", { d: "M1 9h30", stroke: rgb, "stroke-width": 2, "stroke-dasharray": STROKES[dash] });
  const mark = symbol ? [svg("path", { d: SHAPES[symbol], fill: rgb })] : [];
  return svg("svg", { width: 32, height: 18, viewBox: "0 0 32 18", "aria-hidden": "true" }, line, ...mark);
}

/** One toggle button and whether it is on. */
function toggleButton(label, on, changed) {
  const node = el("button", { type: "button", class: "toggle", "aria-pressed": String(on) }, label);
  const isOn = () => node.getAttribute("aria-pressed") === "true";
  node.addEventListener("click", () => {
    node.setAttribute("aria-pressed", String(!isOn()));
    changed();
  });
  return { node, isOn };
}

/** Toggle buttons, all on until `only(i)` leaves one; `look(i)` is asked again by `repaint`. `changed` is called after each press. */
function legend(label, names, look, changed) {
  const shown = names.map(() => true);
  const buttons = names.map((name, i) =>
    el("button", { type: "button", "aria-pressed": "true", onclick: () => press(i) }, own(name)),
  );
  const set = (i, on) => {
    shown[i] = on;
    buttons[i].setAttribute("aria-pressed", String(on));
  };
  const press = (i) => {
    set(i, !shown[i]);
    changed();
  };
  const only = (i) => names.forEach((_, k) => set(k, k === i));
  const repaint = () =>
    buttons.forEach((button, i) => {
      button.querySelector("svg")?.remove();
      button.prepend(swatch(look(i)));
    });
  repaint();
  return { node: el("div", { class: "legend", role: "group", "aria-label": label }, buttons), shown, buttons, repaint, only };
}
