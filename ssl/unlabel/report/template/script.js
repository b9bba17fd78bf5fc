"use strict";

/* Draw charts as they come near the window, then the rest one by one, so that a long page opens at
   once. A chart inside closed details has no width yet and is drawn when they open. */
const charts = [...document.querySelectorAll("figure.chart")];

function draw(figure) {
  if (figure.dataset.drawn) return;
  figure.dataset.drawn = "yes";
  const spec = JSON.parse(figure.querySelector("script").textContent);
  vegaEmbed(figure.querySelector(".plot"), spec, { actions: false, renderer: "svg" });
}

function drawRest() {
  const next = charts.find((figure) => !figure.dataset.drawn && !figure.closest("details:not([open])"));
  if (!next) return;
  draw(next);
  setTimeout(drawRest, 20);
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "600px" },
);
charts.forEach((figure) => watcher.observe(figure));
setTimeout(drawRest, 100);

/* Compare two cells for sorting. A cell without a value always comes last. */
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

/* A table as rows of text: the last heading row, then all body rows that are not headings. */
function cells(table) {
  const rows = [...table.tHead.rows].slice(-1);
  for (const body of table.tBodies) rows.push(...body.rows);
  const text = (cell) => cell.textContent.trim().replace(/\s+/g, " ");
  return rows.filter((row) => !row.classList.contains("heading")).map((row) => [...row.cells].map(text));
}

/* Whether a spreadsheet would take a cell for a formula. Differences such as +1.2 ± 0.3 points are safe. */
const formula = (cell) => /^[=+\-@]/.test(cell) && !/^[+-]?[\d.,]+( ± [\d.,]+)?[\w %]*$/.test(cell);
const quoted = (cell) => `"${(formula(cell) ? "'" : "") + cell.replaceAll('"', '""')}"`;
/* A cell escaped so that Markdown reads no HTML and no further cells in it. */
const plain = (cell) => cell.replace(/[\\|]/g, "\\$&").replace(/<(?=[A-Za-z/!?])/g, "&lt;");

const WRITTEN = {
  CSV: (rows) => rows.map((row) => row.map(quoted).join(",")).join("\n"),
  Markdown: ([head, ...rows]) =>
    [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(plain).join(" | ")} |`).join("\n"),
};

for (const table of document.querySelectorAll("table")) {
  const line = document.createElement("p");
  line.className = "export screen";
  line.append("Download as");
  for (const form of Object.keys(WRITTEN)) {
    const link = document.createElement("a");
    link.textContent = form;
    link.href = "#";
    link.download = `table.${form === "CSV" ? "csv" : "md"}`;
    link.addEventListener("click", () => {
      link.href = `data:text/plain;charset=utf-8,${encodeURIComponent(WRITTEN[form](cells(table)) + "\n")}`;
    });
    line.append(" ", link);
  }
  table.closest(".scroll").after(line);
}

/* Following a link opens the details around its target. */
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();

/* Open all details before printing, except settings. */
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not(.settings)")) details.open = true;
  charts.forEach(draw);
});
