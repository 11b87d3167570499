"use strict";
// The search of a table: rows that have all words stay; the address keeps them, so that a search can be linked to.
for (const field of document.querySelectorAll("[data-filter]")) {
  const controls = field.closest(".controls");
  const rows = [...controls.nextElementSibling.querySelectorAll("tbody tr")];
  const said = controls.querySelector("output");
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      left += row.hidden ? 0 : 1;
    }
    said.textContent = words.length ? `${left} of ${rows.length}` : "";
  };
  field.addEventListener("input", () => {
    history.replaceState(null, "", field.value ? `#search=${encodeURIComponent(field.value)}` : location.pathname);
    show();
  });
  if (location.hash.startsWith("#search=")) {
    field.value = decodeURIComponent(location.hash.slice("#search=".length));
  }
  show();
}
