// Plotly with our colours: each chart redraws itself when its width or the theme changes.

const charts = new Set();
const coarse = matchMedia("(pointer: coarse)");

/** Any text as Plotly shows it literally: Plotly reads tags and entities in labels. */
const literal = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A number as a person reads it. */
const read = (value) => (value === null ? "–" : String(Number(value.toPrecision(5))));

function baseLayout() {
  const [ink, faint, grid, line] = ["ink", "faint", "grid", "line"].map(colour);
  const axis = { gridcolor: grid, linecolor: line, zeroline: false, tickfont: { color: faint }, exponentformat: "none" };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
    margin: { l: 56, r: 12, t: 10, b: 48 },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("card"), bordercolor: line, font: { color: ink }, align: "left", namelength: 0 },
    dragmode: coarse.matches ? false : "zoom",
    xaxis: { ...axis, showline: true, ticks: "outside", tickcolor: line },
    yaxis: { ...axis, automargin: true },
  };
}

/** A chart in `node`, described anew by `make(width)` -> {traces, x, y} at every drawing. Call `draw` to redraw. */
function chart(node, make) {
  let width = 0;
  const draw = () => {
    if (!node.isConnected || node.clientWidth === 0) return;
    width = node.clientWidth;
    const { traces, x, y } = make(width);
    const layout = baseLayout();
    Object.assign(layout.xaxis, x);
    Object.assign(layout.yaxis, y);
    Plotly.react(node, traces, { ...layout, width, height: node.clientHeight }, { displayModeBar: false, doubleClick: "reset" });
    node.dataset.drawn = "true";
  };
  const watch = new ResizeObserver(() => {
    if (node.clientWidth !== width) draw();
  });
  watch.observe(node);
  const drop = () => {
    watch.disconnect();
    charts.delete(made);
    Plotly.purge(node);
  };
  const made = { draw, drop };
  charts.add(made);
  return made;
}

/** Density from dense (left) to sparse on a logarithmic axis; labels that would touch the one before are left away. */
function densityAxis(densities, labels, width, margin, title = "density of the units that may be pruned") {
  const [most, least] = [Math.max(...densities), Math.min(...densities)];
  const [from, to] = [Math.log10(most * margin), Math.log10(least / margin)];
  const room = (44 * (from - to)) / Math.max(1, width - 70);
  let last = Infinity;
  const shown = densities.map((density, i) => {
    const apart = last - Math.log10(density) >= room;
    if (apart) last = Math.log10(density);
    return apart ? literal(labels[i]) : "";
  });
  return {
    type: "log",
    range: [from, to],
    tickvals: densities,
    ticktext: shown,
    title: { text: title, font: { size: 12 } },
  };
}

/** The mean's interval along a stretch, as a band. */
function band(xs, lows, highs, rgb) {
  return {
    x: [...xs, ...xs.toReversed()],
    y: [...highs, ...lows.toReversed()],
    fill: "toself",
    fillcolor: faded(rgb, 0.13),
    line: { width: 0 },
    mode: "lines",
    hoverinfo: "skip",
    type: "scatter",
  };
}
