// The page from top to bottom: what a sceptic asks, the groups, how it was made.

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

function remembered() {
  try {
    return localStorage.getItem("prunebench-theme");
  } catch {
    return null; // a browser may forbid storage to pages from disk
  }
}

function setTheme(theme) {
  root.dataset.theme = theme;
  try {
    localStorage.setItem("prunebench-theme", theme);
  } catch {
    // then the choice lasts as long as the page
  }
  themed();
}

function themed() {
  toggle.textContent = isDark() ? "Light theme" : "Dark theme";
  charts.forEach(({ draw }) => draw());
}

const toggle = el("button", { type: "button", class: "theme", onclick: () => setTheme(isDark() ? "light" : "dark") });

function notesView() {
  if (data.notes.length === 0) return el("p", { class: "faint" }, "Reduced: nothing; this is the file's full recipe.");
  return el(
    "div",
    { class: "notes", role: "note" },
    el("h2", {}, "Reduced, or to be known before the first number"),
    el("ul", {}, data.notes.map((note) => el("li", {}, own(note)))),
  );
}

function expectationsView() {
  if (data.expectations.length === 0) return null;
  const counts = new Map();
  for (const { verdict } of data.expectations) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const kind = { contradicted: "badge bad", reproduced: "badge good" };
  const items = data.expectations.map((item) =>
    el(
      "li",
      {},
      el("p", {}, el("span", { class: kind[item.verdict] ?? "badge" }, item.why ? `${item.verdict}: ${item.why}` : item.verdict), " ", own(item.claim), " (", own(item.source), ")"),
      el("p", { class: "faint" }, own(item.compared), item.published ? `. Published: ${item.published}` : "", "."),
      el("p", {}, "Here", item.where ? [", ", own(item.where)] : [], ": ", own(item.ours), "."),
    ),
  );
  const summary = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(", ");
  return el(
    "section",
    { "aria-labelledby": "expectations" },
    el("h2", { id: "expectations" }, "Published results, held against this run"),
    el("p", { class: "faint" }, `Judged on direction: ${summary}. A difference is better minus worse, paired by seed; it decides if its uncorrected interval excludes zero.`),
    el("ul", { class: "verdicts" }, items),
  );
}

document.getElementById("top").append(
  el("div", { class: "bar" }, el("h1", {}, own(data.name)), toggle),
  el("p", { class: "claim" }, el("span", { class: "said" }, "Claim: "), own(data.claim)),
  el("p", { class: "verdict" }, el("span", { class: "said" }, "Verdict: "), own(data.verdict)),
  el("dl", { class: "facts line" }, data.facts.map(([label, text]) => el("div", {}, el("dt", {}, label), el("dd", {}, text)))),
  notesView(),
);

const sections = data.groups.map(groupSection);
document.getElementById("main").replaceChildren(
  el("div", { id: "results", tabindex: "-1" }, sections.map(({ node }) => node)),
  ...[expectationsView()].filter((node) => node !== null),
);
document.getElementById("bottom").append(
  el(
    "section",
    { "aria-labelledby": "made" },
    el("h2", { id: "made" }, "How this was made"),
    el("pre", {}, el("code", {}, data.made.command)),
    madeTables(),
    el(
      "p",
      { class: "faint" },
      "Beside this page: ",
      el("a", { href: "README.md" }, "README.md"),
      " has the differences between entries with their tests, ",
      el("a", { href: "results.jsonl" }, "results.jsonl"),
      " every number with its key, ",
      el("a", { href: "provenance.json" }, "provenance.json"),
      " where they come from.",
    ),
  ),
);

const kept = remembered();
if (kept === "light" || kept === "dark") root.dataset.theme = kept;
system.addEventListener("change", themed);
themed();
window.addEventListener("hashchange", follow);
follow();
