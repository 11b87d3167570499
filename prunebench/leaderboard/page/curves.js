// Training curves and layers of one trial.

const SPLIT_DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

const nameOf = (ticket, tickets) => {
  const twice = tickets.filter(({ label }) => label === ticket.label).length > 1;
  return twice ? `${ticket.label}, round ${ticket.round}, draw ${ticket.draw}` : ticket.label;
};

const shareOf = (i, n) => (n < 2 ? 0.4 : i / (n - 1));

/** The trial's series by metric: { metric, unit, splits: [{ split, index }] }. */
function metricsOf(tickets) {
  const used = new Set(tickets.flatMap((ticket) => (ticket.curves ?? []).map(([index]) => index)));
  const metrics = new Map();
  data.series.forEach(({ split, metric, unit }, index) => {
    if (!used.has(index)) return;
    if (!metrics.has(metric)) metrics.set(metric, { metric, unit, splits: [] });
    metrics.get(metric).splits.push({ split, index });
  });
  return [...metrics.values()];
}

const curveOf = (ticket, index) => ticket.curves.find(([at]) => at === index)?.[1];

/** Curves of all metrics over iterations, a line for each density and split; `live` collects the charts. */
function curvesView(trial, live) {
  const tickets = trial.tickets.filter(({ curves }) => curves?.length);
  const metrics = metricsOf(tickets);
  if (metrics.length === 0) return [el("p", {}, "No training curve was kept for this trial.")];
  const names = tickets.map((ticket) => nameOf(ticket, trial.tickets));
  const splits = [...new Set(metrics.flatMap((metric) => metric.splits.map(({ split }) => split)))];
  const dashOf = (split) => SPLIT_DASHES[splits.indexOf(split) % SPLIT_DASHES.length];
  const redraw = () => {
    drawn.forEach(({ draw }) => draw());
    tables.forEach((fill) => fill());
  };
  const look = (i) => ({ colour: scaled(shareOf(i, tickets.length)), symbol: null, dash: "solid" });
  const densities = legend("Densities", names, look, redraw);
  const kinds = legend("Splits", splits, (i) => ({ colour: colour("faint"), symbol: null, dash: dashOf(splits[i]) }), redraw);
  // too many lines to begin with: the split that is judged, and the others on demand
  kinds.only(Math.max(0, splits.indexOf(data.metric.split("/")[0])));
  const visible = ({ splits: all }) => all.filter(({ split }) => kinds.shown[splits.indexOf(split)]);
  const drawn = [];
  const tables = [];
  const panels = metrics.map((metric) => {
    const label = metric.unit ? `${metric.metric}, ${metric.unit}` : metric.metric;
    const node = el("div", { class: "chart", role: "img", "aria-label": `${label} while training; the table below has the numbers.` });
    const made = chart(node, () => {
      densities.repaint();
      kinds.repaint();
      const traces = [];
      tickets.forEach((ticket, i) => {
        if (!densities.shown[i]) return;
        for (const { split, index } of visible(metric)) {
          const ys = curveOf(ticket, index);
          if (ys === undefined) continue;
          const xs = data.positions[ticket.at];
          const text = xs.map((x, k) => literal(`${names[i]}, ${split}\niteration ${x}: ${read(ys[k])}`).replace("\n", "<br>"));
          traces.push({
            x: xs,
            y: ys,
            mode: xs.length === 1 ? "markers" : "lines",
            line: { color: look(i).colour, dash: dashOf(split), width: 1.8 },
            marker: { color: look(i).colour },
            hoverinfo: "text",
            hovertext: text,
          });
        }
      });
      const values = traces.flatMap(({ y }) => y).filter((value) => value !== null);
      const log = metric.metric.endsWith("loss") && values.length > 0 && values.every((value) => value > 0);
      return {
        traces,
        x: { title: { text: "iteration", font: { size: 12 } }, rangemode: "tozero" },
        y: { title: { text: literal(label) + (log ? " (log)" : ""), font: { size: 12 } }, ...(log ? logAxis(values) : {}) },
      };
    });
    drawn.push(made);
    live.push(made);
    const numbers = el("details", {}, el("summary", {}, `${label}: the numbers`));
    const fill = () => {
      if (!numbers.open) return;
      numbers.querySelector(".scroll")?.remove();
      numbers.append(curveTable(label, tickets, names, densities.shown, visible(metric)));
    };
    numbers.addEventListener("toggle", fill);
    tables.push(fill);
    return el("figure", {}, node, numbers);
  });
  const thinned = data.points === null ? null : el("p", { class: "faint" }, `Curves are drawn with at most ${data.points} points each; details.jsonl has all.`);
  return [kinds.node, densities.node, el("div", { class: "pair" }, panels), thinned];
}

/** A logarithmic axis with its ticks at the powers of ten and as many between as there is room for. */
function logAxis(values) {
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const powers = Array.from({ length: high - low + 1 }, (_, k) => low + k);
  const digits = powers.length > 6 ? [1] : powers.length > 3 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const tickvals = powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)));
  return { type: "log", tickvals, ticktext: tickvals.map(read) };
}

function curveTable(label, tickets, names, shown, splits) {
  const columns = tickets.flatMap((ticket, i) =>
    shown[i]
      ? splits.map(({ split, index }) => ({
          head: `${names[i]}, ${split}`,
          at: new Map(data.positions[ticket.at].map((x, k) => [x, curveOf(ticket, index)?.[k] ?? null])),
        }))
      : [],
  );
  const positions = [...new Set(columns.flatMap(({ at }) => [...at.keys()]))].toSorted((a, b) => a - b);
  const rows = positions.map((x) => [String(x), ...columns.map(({ at }) => (at.has(x) ? read(at.get(x)) : "–"))]);
  return simpleTable(`${label}, by iteration`, ["iteration", ...columns.map(({ head }) => head)], rows, "tall");
}

/** Each layer's density over the network's: what a cut takes from where. */
function layersView(trial, live) {
  const tickets = trial.tickets.filter(({ kept, density }) => kept && density !== null);
  if (tickets.length === 0 || data.layers[tickets[0].layers].length === 0) return [el("p", {}, "No mask is known for this trial's tickets.")];
  // tickets of one trial share their layers, since they share its model and its units
  const layers = data.layers[tickets[0].layers].map(([name, units]) => ({ name, units }));
  const alike = tickets.filter((ticket) => ticket.layers === tickets[0].layers);
  const heads = alike.map((ticket) => nameOf(ticket, trial.tickets));
  const percent = (ticket, k) => (layers[k].units ? (100 * ticket.kept[k]) / layers[k].units : null);
  const rows = layers.map((layer, k) => [
    own(layer.name),
    layer.units.toLocaleString("en"),
    ...alike.map((ticket) => `${percent(ticket, k) === null ? "–" : percent(ticket, k).toFixed(2)} % (${ticket.kept[k].toLocaleString("en")})`),
  ]);
  const table = simpleTable("Kept units of each layer, in percent of its units and as a count", ["layer", "units", ...heads], rows, "tall");
  if (alike.every(({ density }) => density === 1)) return [el("p", {}, "Nothing was pruned: all layers are whole."), table];
  const look = (k) => ({ colour: scaled(shareOf(k, layers.length)), symbol: "circle", dash: "solid" });
  const keys = legend("Layers, from the input on", layers.map(({ name }) => name), look, () => made.draw());
  const node = el("div", { class: "chart", role: "img", "aria-label": "Density of each layer over the network's density; the table below has the numbers." });
  const made = chart(node, (width) => {
    keys.repaint();
    const values = alike.flatMap((ticket) => layers.map((_, k) => percent(ticket, k))).filter((value) => value > 0);
    const floor = Math.min(...values, 100) / 1.6;
    const traces = layers.flatMap((layer, k) => {
      if (!keys.shown[k]) return [];
      const points = alike.filter((ticket) => percent(ticket, k) !== null);
      return {
        x: points.map(({ density }) => density),
        y: points.map((ticket) => Math.max(floor, percent(ticket, k))),
        mode: "lines+markers",
        line: { color: look(k).colour, width: 1.8 },
        marker: { color: look(k).colour, size: 7, symbol: points.map((ticket) => (ticket.kept[k] ? "circle" : "x")) },
        cliponaxis: false,
        hoverinfo: "text",
        hovertext: points.map((ticket) => `${literal(layer.name)}<br>` + literal(`${ticket.label}: ${read(percent(ticket, k))} % (${ticket.kept[k]} of ${layer.units})`)),
      };
    });
    const all = alike.map(({ density }) => density);
    const range = [Math.log10(floor), Math.log10(130)];
    return {
      traces,
      x: densityAxis(all, alike.map(({ label }) => label), width, Math.max(Math.max(...all) / Math.min(...all), 1.2) ** 0.06),
      y: { title: { text: "layer's density, % (log)", font: { size: 12 } }, ...logAxis([floor, 100]), range },
    };
  });
  live.push(made);
  const note = "A cross at the bottom is a layer without a unit: the network is cut through there.";
  return [keys.node, node, el("p", { class: "faint" }, note), el("details", {}, el("summary", {}, "The numbers"), table)];
}
