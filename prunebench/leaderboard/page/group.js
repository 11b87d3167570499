// One model on one data set: filter, table, and the metric over density.

/** A curve cut where no trial is ok: a line drawn across would hide that. */
function stretchesOf(points) {
  const stretches = [[]];
  for (const point of points) {
    if (point.cell.mean === null) stretches.push([]);
    else stretches.at(-1).push(point);
  }
  return stretches.filter((stretch) => stretch.length > 0);
}

function hoverText(group, entry, i) {
  const cell = entry.cells[i];
  const value = cell.mean === null ? "no trial is ok" : `${cell.text}${cell.spread}`;
  const n = cell.seeds ? `n=${cell.n}: ${cell.seeds}` : `n=${cell.n}`;
  const notes = [n, ...(cell.between ? [cell.between] : []), ...outcomesIn(cell)].join("; ");
  return [literal(entry.name), literal(`${group.labels[i]}: ${value}`), literal(notes)].join("<br>");
}

/** The traces of one entry. Where there is one density only, entries stand side by side instead of on each other. */
function tracesOf(group, entry, [low, high], intervals) {
  const look = lookOf(entry.id);
  const line = { color: look.colour, dash: look.dash, width: 2 };
  const tried = entry.cells.map((cell, i) => ({ cell, i, density: group.densities[i] })).filter(({ cell }) => cell !== null);
  if (entry.dense) return tried.slice(0, 1).flatMap((point) => reference(group, entry, point, look, line, intervals));
  const points = tried.map((point) => ({ ...point, x: point.density * aside(group, entry, point.density) }));
  const traces = [];
  for (const stretch of stretchesOf(points)) {
    const xs = stretch.map(({ x }) => x);
    const banded = intervals && stretch.length > 1 && stretch.every(({ cell }) => cell.low !== null);
    if (banded) {
      traces.push(band(xs, stretch.map(({ cell }) => cell.low), stretch.map(({ cell }) => cell.high), look.colour));
    }
    traces.push({
      x: xs,
      y: stretch.map(({ cell }) => cell.mean),
      mode: "lines",
      line,
      hoverinfo: "skip",
      error_y: banded || !intervals ? undefined : errorBars(stretch, look.colour),
    });
  }
  const end = group.higher ? low : high;
  const place = ({ mean }) => (mean === null || mean < low || mean > high ? end : mean);
  const symbol = ({ mean, outcomes, between }) => {
    if (mean === null) return "x-thin-open";
    if (place({ mean }) !== mean) return group.higher ? "triangle-down" : "triangle-up";
    if (between) return `${look.symbol}-open-dot`;
    return Object.keys(outcomes).length > 0 ? `${look.symbol}-open` : look.symbol;
  };
  traces.push({
    x: points.map(({ x }) => x),
    y: points.map(({ cell }) => place(cell)),
    mode: "markers",
    marker: {
      color: look.colour,
      symbol: points.map(({ cell }) => symbol(cell)),
      size: points.map(({ cell }) => (place(cell) === cell.mean ? 9 : 13)),
      line: { color: look.colour, width: points.map(({ cell }) => (cell.mean === null ? 2.5 : 1.5)) },
    },
    cliponaxis: false,
    hoverinfo: "text",
    hovertext: points.map(({ i }) => hoverText(group, entry, i)),
  });
  return traces;
}

function errorBars(stretch, rgb) {
  const array = stretch.map(({ cell }) => (cell.high === null ? 0 : cell.high - cell.mean));
  const arrayminus = stretch.map(({ cell }) => (cell.low === null ? 0 : cell.mean - cell.low));
  return { type: "data", symmetric: false, array, arrayminus, color: rgb, thickness: 1.3, width: 4 };
}

function reference(group, entry, { cell, i }, look, line, intervals) {
  if (cell.mean === null) return [];
  const margin = marginOf(group);
  const [from, to] = [Math.max(...group.densities) * margin, Math.min(...group.densities) / margin];
  // points along the line, so that a pointer anywhere on it finds its text
  const xs = Array.from({ length: 40 }, (_, k) => from * (to / from) ** (k / 39));
  const drawn = { x: xs, y: xs.map(() => cell.mean), mode: "lines", line, hoverinfo: "text", hovertext: hoverText(group, entry, i) };
  const around = cell.low === null || !intervals ? [] : [band([from, to], [cell.low, cell.low], [cell.high, cell.high], look.colour)];
  return [...around, drawn];
}

const isAlone = (group) => group.densities.filter((density) => density < 1).length < 2;

function spanOf(group) {
  return Math.max(Math.max(...group.densities) / Math.min(...group.densities), 1.2);
}

const marginOf = (group) => spanOf(group) ** (isAlone(group) ? 0.2 : 0.04);

function aside(group, entry, density) {
  if (!isAlone(group) || density === 1) return 1;
  const ranked = group.entries.filter(({ dense }) => !dense);
  return spanOf(group) ** ((-0.3 * (ranked.indexOf(entry) - (ranked.length - 1) / 2)) / Math.max(ranked.length, 4));
}

/** The chart's node with its legend. `show(predicate)` leaves entries out. */
function densityChart(group) {
  const names = group.entries.map(({ name }) => name);
  let shown = () => true;
  const node = el("div", {
    class: "chart",
    role: "img",
    "aria-label": `${group.metric} over density for ${names.length} entries; the table before it has the same numbers.`,
  });
  const keys = legend("Entries in the chart", names, (i) => lookOf(group.entries[i].id), () => drawn.draw());
  const drawn = chart(node, (width) => {
    keys.repaint();
    const range = full?.isOn() ? group.full : group.range;
    const entries = group.entries.filter((entry, i) => keys.shown[i] && shown(entry));
    return {
      traces: entries.flatMap((entry) => tracesOf(group, entry, range, intervals.isOn())),
      x: densityAxis(group.densities, group.labels, width, marginOf(group), group.axis),
      y: { range, title: { text: literal(group.title), font: { size: 12 } } },
    };
  });
  const beyond = group.full[0] < group.range[0] || group.full[1] > group.range[1];
  const intervals = toggleButton("Intervals", true, () => drawn.draw());
  const full = beyond ? toggleButton("Full range", false, () => drawn.draw()) : null;
  const caption =
    `Means over seeds with ${data.level} intervals, from dense (left) to sparse on a logarithmic axis; dashed: the dense ` +
    "reference. A hollow mark is a mean without the trials that are not ok, a cross a density at which none is, a large " +
    "triangle at the edge a value beyond it. Drag to zoom, double-click to reset.";
  const figure = el(
    "figure",
    {},
    keys.node,
    el("div", { class: "controls" }, intervals.node, full === null ? null : full.node),
    node,
    el("figcaption", {}, caption),
  );
  const show = (predicate) => {
    shown = predicate;
    keys.buttons.forEach((button, i) => (button.hidden = !predicate(group.entries[i])));
    drawn.draw();
  };
  return { node: figure, show, draw: drawn.draw };
}

/** A group's section; it is drawn once it stands in the page. */
function groupSection(group, number) {
  const caption = `${group.metric}: mean ± ${data.level} Student interval over seeds; n counts seeds. Columns: ${group.axis}.`;
  const table = entriesTable(group, caption);
  const picture = group.range === null ? null : densityChart(group);
  const count = el("output", { "aria-live": "polite" });
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const predicate = (entry) =>
      entry.name.toLowerCase().includes(wanted) && (which.value === "all" || isBroken(entry) === (which.value === "broken"));
    table.show(predicate);
    picture?.show(predicate);
    count.textContent = `${group.entries.filter(predicate).length} of ${group.entries.length} entries`;
  };
  const search = el("input", { type: "search", size: "14", oninput: filter });
  const which = el(
    "select",
    { onchange: filter },
    el("option", { value: "all" }, "all"),
    el("option", { value: "sound" }, "all trials ok"),
    el("option", { value: "broken" }, "some trial not ok"),
  );
  const node = el(
    "section",
    { "aria-labelledby": `group-${number}` },
    el("h2", { id: `group-${number}` }, own(group.model), " on ", own(group.data)),
    el("div", { class: "controls" }, el("label", {}, "Filter entries", search), el("label", {}, "Outcomes", which), count),
    table.node,
    el("p", { class: "faint" }, "An entry's name or a seed opens the trial: its training, layers, figures and origin."),
    picture === null ? el("p", {}, "No trial is ok: there is nothing to draw.") : picture.node,
    el("details", {}, el("summary", {}, "How entries are ranked"), el("p", {}, group.rule)),
    group.lost ? el("p", {}, group.lost) : null,
  );
  filter();
  return { node, draw: () => picture?.draw() };
}
