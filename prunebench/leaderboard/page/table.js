// The table of entries by densities: sorted by its heads, filtered from outside.

const trialsOf = new Map();
for (const trial of data.trials) {
  const place = JSON.stringify([trial.id, trial.model, trial.data]);
  trialsOf.set(place, [...(trialsOf.get(place) ?? []), trial]);
}

const outcomesIn = (cell) => Object.entries(cell.outcomes).map(([name, count]) => `${count} of ${cell.trials} ${name}`);
const isBroken = (entry) => entry.cells.some((cell) => cell !== null && Object.keys(cell.outcomes).length > 0);

/** A cell for each density; a reason that several densities in a row have stands once, across them. */
function cellNodes(entry) {
  const isGap = (i, text) => entry.cells[i] === null && entry.gaps[i] === text;
  const nodes = [];
  for (let i = 0; i < entry.cells.length; i += 1) {
    const gap = entry.gaps[i];
    if (!gap || entry.cells[i] !== null) {
      nodes.push(cellNode(entry.cells[i]));
      continue;
    }
    const first = i;
    while (i + 1 < entry.cells.length && isGap(i + 1, gap)) i += 1;
    const wide = i - first + 1;
    const shape = { class: wide > 1 ? "noted wide" : "noted", colspan: wide > 1 ? String(wide) : null };
    nodes.push(el("td", shape, el("span", { class: "faint" }, "–"), el("span", { class: "cell-note" }, gap)));
  }
  return nodes;
}

function cellNode(cell) {
  if (cell === null) return el("td", {}, el("span", { class: "faint", "aria-label": "not tried" }, "–"));
  const notes = outcomesIn(cell).map((text) => el("span", { class: "cell-note bad" }, text));
  if (cell.mean === null) return el("td", {}, notes);
  if (cell.draws) notes.push(el("span", { class: "cell-note" }, cell.draws));
  if (cell.late) notes.push(el("span", { class: "cell-note" }, cell.late));
  const spread = cell.spread === "" ? null : el("span", { class: "half" }, cell.spread);
  if (cell.between !== null) notes.unshift(el("span", { class: "cell-note" }, cell.between));
  const n = cell.seeds === null ? `n=${cell.n}` : `n=${cell.n}: ${cell.seeds}`;
  return el("td", { class: cell.between === null ? null : "noted" }, cell.text, spread, el("span", { class: "cell-note" }, n), notes);
}

/** Links to an entry's trials, a seed each. */
function seedLinks(trials, current = null) {
  const links = trials.map((trial) => {
    const note = trial.outcome === "ok" ? "" : `, ${trial.outcome}`;
    return el(
      "a",
      {
        href: `#trial=${trial.route}`,
        class: trial.outcome === "ok" ? null : "bad",
        "aria-label": `${trial.name}, seed ${trial.seed}${note}`,
        "aria-current": trial === current ? "true" : null,
        title: `seed ${trial.seed}${note}`,
      },
      String(trial.seed),
    );
  });
  return el("span", { class: "seeds" }, links);
}

/** The keys by which a column sorts: numbers or texts, null where there is nothing. `down`: its best is its greatest. */
function columnsOf(group) {
  const better = group.higher ? "descending" : "ascending";
  return [
    { name: "rank", first: "ascending", key: (entry) => entry.rank },
    { name: "entry", first: "ascending", key: (entry) => entry.name, class: "entry" },
    ...group.labels.map((label, i) => ({ name: label, first: better, key: (entry) => entry.cells[i]?.mean ?? null })),
  ];
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b, "en") : a - b;
}

/** A sorted copy; entries without a key come last either way, and equals keep their order. */
function sorted(entries, { key }, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  return entries.toSorted((a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * compare(left, right);
  });
}

/** The table's node, and `show(predicate)` to leave entries out. */
function entriesTable(group, caption) {
  const columns = columnsOf(group);
  const body = el("tbody");
  const rows = new Map(
    group.entries.map((entry) => {
      const trials = trialsOf.get(JSON.stringify([entry.id, group.model, group.data])) ?? [];
      const name = trials.length ? el("a", { href: `#trial=${trials[0].route}`, class: "name" }, entry.name) : own(entry.name);
      return [
        entry,
        el(
          "tr",
          {},
          el("td", {}, entry.rank === null ? "–" : String(entry.rank)),
          el("th", { scope: "row" }, name, entry.dense ? el("span", { class: "cell-note" }, "unpruned") : null),
          cellNodes(entry),
          el("td", { class: "left" }, seedLinks(trials)),
        ),
      ];
    }),
  );
  const heads = columns.map((column) => {
    const button = el(
      "button",
      { type: "button", class: "sort", onclick: () => sortBy(column) },
      column.name,
      el("span", { class: "arrow", "aria-hidden": "true" }, "↕"),
    );
    return el("th", { scope: "col", "aria-sort": "none", class: column.class ?? null }, button);
  });
  let state = { column: null, direction: null };
  let shown = () => true;
  const fill = () => {
    const order = state.column === null ? group.entries : sorted(group.entries, state.column, state.direction);
    body.replaceChildren(...order.filter(shown).map((entry) => rows.get(entry)));
  };
  const sortBy = (column) => {
    const other = state.direction === "ascending" ? "descending" : "ascending";
    state = { column, direction: state.column === column ? other : column.first };
    heads.forEach((head, i) => {
      const direction = columns[i] === column ? state.direction : "none";
      head.setAttribute("aria-sort", direction);
      head.querySelector(".arrow").textContent = { ascending: "↑", descending: "↓", none: "↕" }[direction];
    });
    fill();
  };
  fill();
  const node = el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `Results, ${group.model} on ${group.data}` },
    el(
      "table",
      { class: "results" },
      captioned(caption),
      el("thead", {}, el("tr", {}, heads, el("th", { scope: "col", class: "left" }, "trials, by seed"))),
      body,
    ),
  );
  return { node, show: (predicate) => ((shown = predicate), fill()) };
}
