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
  const notes = [n, ...(cell.between ? [cell.between] : []), ...outcomesIn(cell), ...[cell.draws, cell.late].filter(Boolean)].join("; ");
  return [literal(entry.name), literal(`${group.labels[i]}: ${value}`), literal(notes)].join("<br>");
}

/** The traces of one entry. Where there is one density only, entries stand side by side instead of on each other. */
function tracesOf(group, entry, [low, high], intervals) {
  const look = lookOf(entry.id);
  const line = { color: look.colour, dash: look.dash, width: 2 };
  const tried = entry.cells.map((cell, i) => ({ cell, i, density: group.densities[i] })).filter(({ cell }) => cell !== null);
  if (entry.dense) return tried.slice(0, 1).flatMap((point) => reference(group, entry, point, look, line, intervals));
  const points = tried.map((point) => ({ ...point, x: point.density * (point.density === 1 ? 1 : entry.aside) }));
  const traces = points.filter(({ cell }) => cell.chord).map(({ cell }) => chordTrace(cell.chord, look.colour));
  for (const stretch of stretchesOf(points)) {
    const xs = stretch.map(({ x }) => x);
    const banded = intervals && group.banded && stretch.length > 1 && stretch.every(({ cell }) => cell.low !== null);
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

/** From one ticket to the other of those that an interpolated value lies between. */
function chordTrace([x, y], rgb) {
  const marker = { color: rgb, symbol: "line-ns-open", size: 7 };
  return { x, y, mode: "lines+markers", line: { color: rgb, dash: "dot", width: 1 }, marker, hoverinfo: "skip" };
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

/** The node of a chart of some of the entries, with its legend. `show(predicate)` leaves entries out. */
function densityChart(group, panel) {
  const members = group.entries.filter(({ id }) => panel.includes(id));
  const names = members.map(({ name }) => name);
  let shown = () => true;
  const node = el("div", {
    class: "chart",
    role: "img",
    "aria-label": `${group.metric} over density for ${names.length} entries; the table before it has the same numbers.`,
  });
  const keys = legend("Entries in the chart", names, (i) => lookOf(members[i].id), () => drawn.draw());
  const drawn = chart(node, (width) => {
    keys.repaint();
    const range = full?.isOn() ? group.full : group.range;
    const entries = members.filter((entry, i) => keys.shown[i] && shown(entry));
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
    "reference. Entries stand a little aside of one another where their intervals overlap. A hollow mark is a mean without " +
    "the trials that are not ok; one with a point in it is interpolated, and a dotted line leads to the two tickets that it " +
    "lies between. A cross is a density at which no trial is ok, a large triangle at the edge a value beyond it. Drag to " +
    "zoom, double-click to reset.";
  const figure = el(
    "figure",
    {},
    keys.node,
    el("div", { class: "controls" }, intervals.node, full === null ? null : full.node),
    node,
    el("figcaption", {}, panel === group.panels.at(-1) ? caption : ""),
  );
  const show = (predicate) => {
    shown = predicate;
    keys.buttons.forEach((button, i) => (button.hidden = !predicate(members[i])));
    figure.hidden = !members.some((entry) => !entry.dense && predicate(entry)) && members.some((entry) => !entry.dense);
    drawn.draw();
  };
  return { node: figure, show, draw: drawn.draw };
}

/** A group's section; it is drawn once it stands in the page. */
function groupSection(group, number) {
  const caption = `${group.metric}: mean ± ${data.level} Student interval over seeds; n counts seeds. Columns: ${group.axis}.`;
  const table = entriesTable(group, caption);
  const pictures = group.range === null ? [] : group.panels.map((panel) => densityChart(group, panel));
  const count = el("output", { "aria-live": "polite" });
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const predicate = (entry) =>
      entry.name.toLowerCase().includes(wanted) && (which.value === "all" || isBroken(entry) === (which.value === "broken"));
    table.show(predicate);
    pictures.forEach(({ show }) => show(predicate));
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
    pictures.length === 0 ? el("p", {}, "No trial is ok: there is nothing to draw.") : pictures.map(({ node: own }) => own),
    el("details", {}, el("summary", {}, "How entries are ranked"), el("p", {}, group.rule)),
    group.lost ? el("p", {}, group.lost) : null,
  );
  filter();
  return { node, draw: () => pictures.forEach(({ draw }) => draw()) };
}
