"use strict";

for (const figure of document.querySelectorAll("figure.chart")) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  vegaEmbed(figure.querySelector(".plot"), spec, { actions: false, renderer: "svg" });
}

/* Below zero, zero or above: how two cells compare. A cell without a value is always last. */
function compare(a, b, direction) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = a !== "" && !isNaN(a) && !isNaN(b);
  return direction * (numbers ? a - b : a.localeCompare(b));
}

function sort(table, heading) {
  const column = heading.cellIndex;
  const words = !heading.classList.contains("number");
  const now = heading.getAttribute("aria-sort");
  const next = now ? (now === "ascending" ? "descending" : "ascending") : words ? "ascending" : "descending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", next);
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
    const value = (row) => row.cells[column].dataset.value;
    rows.sort((a, b) => compare(value(a), value(b), next === "ascending" ? 1 : -1));
    body.append(...rows);
  }
}

for (const button of document.querySelectorAll("table.leaderboard button")) {
  button.addEventListener("click", () => sort(button.closest("table"), button.closest("th")));
}

/* On paper nothing can be unfolded. */
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
