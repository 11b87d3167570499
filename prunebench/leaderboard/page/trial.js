// The view of one trial, in a dialog that the address "#trial=..." opens.

const dialog = document.getElementById("trial");
const byRoute = new Map(data.trials.map((trial) => [trial.route, trial]));
let live = [];

function pairs(list) {
  return el("dl", { class: "facts tight" }, list.map(([label, text]) => el("div", {}, el("dt", {}, label), el("dd", {}, text))));
}

function badge(outcome) {
  return el("span", { class: outcome === "ok" ? "badge good" : "badge bad" }, outcome);
}

function ticketsTable(trial) {
  const rows = trial.tickets.map((ticket) => [
    ticket.label,
    String(ticket.round),
    String(ticket.draw),
    ticket.value ?? "–",
    badge(ticket.outcome),
    ticket.stop === undefined ? "–" : `${ticket.start} → ${ticket.stop}`,
  ]);
  const heads = ["density", "round", "draw", data.metric, "outcome", "iterations"];
  return simpleTable("The trial's evaluated tickets", heads, rows);
}

function analysesView(trial) {
  if (trial.analyses.length === 0) return [];
  const figures = trial.analyses.flatMap(({ name, figures: all }) =>
    all.map((figure) =>
      el(
        "figure",
        {},
        figure.svg === null
          ? el("p", {}, "This figure is left out for its size; details.jsonl has it.")
          : el("img", { class: "picture", alt: figure.caption, src: `data:image/svg+xml;base64,${figure.svg}` }),
        el("figcaption", {}, own(name), ": ", own(figure.caption)),
      ),
    ),
  );
  const shown = figures.length ? figures : [el("p", {}, "They drew nothing; results.jsonl has their numbers.")];
  return [el("h3", {}, "Analyses"), el("div", { class: "pair" }, shown)];
}

function address(text) {
  return el("span", { class: "address" }, text);
}

function originView(trial) {
  const keys = trial.tickets.map((ticket) =>
    el(
      "details",
      {},
      el("summary", {}, `density ${ticket.label}, round ${ticket.round}, draw ${ticket.draw}`),
      pairs([["run's key", address(ticket.key)], ...(ticket.addresses ?? []).map(([name, at]) => [`artifact: ${name}`, address(at)])]),
    ),
  );
  const analyses = trial.analyses.map(({ name, key }) => [`analysis ${name}: key`, address(key)]);
  return [
    el("h3", {}, "Origin"),
    keys,
    data.addressed ? null : el("p", { class: "faint" }, "Keys are shortened; details.jsonl has them whole, and the addresses of artifacts."),
    analyses.length ? pairs(analyses) : null,
    trial.environments.length
      ? el("p", {}, `Rests on artifacts of mixed environments: ${trial.environments.join(", ")}.`)
      : null,
    el("details", {}, el("summary", {}, "Environment and components"), madeTables()),
  ].flat();
}

/** Environment and components, as they stand for the whole run. */
function madeTables() {
  const made = data.made;
  return [
    pairs([["prunebench", made.prunebench], ...made.environment].map(([name, value]) => [own(name), own(value)])),
    simpleTable("Components", ["component", "version", "distribution", "paper"], made.components.map((cells) => cells.map(own)), "prose"),
  ];
}

function view(trial) {
  live = [];
  if (trial.unread !== undefined) {
    return [
      el("h2", { id: "trial-title" }, own(trial.name), `, seed ${trial.seed}`),
      el("button", { type: "button", class: "close", "aria-current": "true", onclick: () => dialog.close() }, "Close"),
      el("p", {}, trial.unread),
    ];
  }
  const siblings = trialsOf.get(JSON.stringify([trial.id, trial.model, trial.data]));
  const broke = trial.broke.map((text) => el("li", {}, text));
  return [
    el(
      "div",
      { class: "trial-bar" },
      el("h2", { id: "trial-title" }, own(trial.name), `, seed ${trial.seed} `, badge(trial.outcome)),
      el("button", { type: "button", class: "close", onclick: () => dialog.close() }, "Close"),
    ),
    el(
      "div",
      { class: "trial-body" },
      el("p", { class: "faint" }, own(trial.model), " on ", own(trial.data)),
      el("nav", { class: "controls", "aria-label": "Trials of this entry" }, el("span", { class: "label" }, "Seeds"), seedLinks(siblings, trial)),
      broke.length ? el("ul", {}, broke) : null,
      ticketsTable(trial),
      el("h3", {}, "Training curves"),
      curvesView(trial, live),
      el("h3", {}, "Layers"),
      layersView(trial, live),
      analysesView(trial),
      originView(trial),
    ),
  ];
}

/** A large page holds what stands behind a trial packed, until it is opened. */
async function unpack(trial) {
  const bytes = Uint8Array.from(atob(trial.packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  Object.assign(trial, JSON.parse(await new Response(stream).text()));
  for (const ticket of trial.tickets) {
    ticket.curves = ticket.curves?.map(([index, places, whole]) => [index, whole.map((n) => (n === null ? null : n / 10 ** places))]);
  }
  delete trial.packed;
}

function asked() {
  return location.hash.startsWith("#trial=") ? byRoute.get(location.hash.slice("#trial=".length)) : undefined;
}

/** Open what the address says, or close. */
function follow() {
  const trial = asked();
  if (trial?.packed !== undefined) {
    // Meanwhile the reader may have gone on, or back.
    unpack(trial).then(follow, () => {
      trial.unread = "This browser is too old to unpack the trial; details.jsonl beside the page has it.";
      delete trial.packed;
      follow();
    });
    return;
  }
  live.forEach(({ drop }) => drop());
  live = [];
  if (trial === undefined) {
    if (dialog.open) dialog.close();
    return;
  }
  dialog.replaceChildren(...view(trial));
  dialog.scrollTop = 0;
  if (dialog.open) dialog.querySelector("[aria-current]").focus();
  else {
    dialog.showModal();
    dialog.querySelector(".close").focus();
  }
  live.forEach(({ draw }) => draw());
}

dialog.addEventListener("close", () => {
  if (dialog.open) return; // the event comes late, and another trial may be open already
  live.forEach(({ drop }) => drop());
  live = [];
  dialog.replaceChildren();
  // the address without its trial, with no step added to the history
  if (location.hash.startsWith("#trial=")) history.replaceState(null, "", location.href.split("#")[0]);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
