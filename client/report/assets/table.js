import { h } from "./dom.js";

// A table. Columns: {label, hint, value(row), show(value, row), right, rowHead, wide, best}; with `sortable` a click on a
// head sorts. `show` may give text or an element; `value` is what sorts, and what is shown when there is no `show`.
export function table({ caption, columns, rows, className = "", sortable = false, sums = [] }) {
  const body = h("tbody", { role: "rowgroup" });
  const heads = columns.map((column) => headCell(column, sortable, () => sortBy(column)));
  const element = h(
    "table",
    { class: className, role: "table" },
    caption ? h("caption", {}, caption) : null,
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    body,
  );
  const fill = (ordered) => {
    body.replaceChildren(
      ...ordered.map((row) => bodyRow(columns, row)),
      ...sums.map((row) => bodyRow(columns, row, "sum")),
    );
  };
  function sortBy(column) {
    const head = heads[columns.indexOf(column)];
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    fill([...rows].sort((a, b) => (down ? -1 : 1) * compare(column.value(a), column.value(b))));
  }
  fill(rows);
  return element;
}

function headCell(column, sortable, sort) {
  const words = sortable && column.value ? h("button", { type: "button", onclick: sort }, column.label) : column.label;
  const hint = column.hint ? h("span", { class: "small" }, column.hint) : null;
  const sorting = sortable && column.value ? "none" : null;
  return h(
    "th",
    { scope: "col", role: "columnheader", class: column.right ? "right" : null, "aria-sort": sorting },
    words,
    hint,
  );
}

function bodyRow(columns, row, className = null) {
  const cells = columns.map((column) => {
    const value = column.value ? column.value(row) : null;
    const shown = column.show ? column.show(value, row) : (value ?? "");
    const classes = [column.right && "right", column.wide && "wide", column.best?.(row) && "best"].filter(Boolean);
    const attributes = { class: classes.join(" ") || null };
    if (column.rowHead) return h("th", { ...attributes, scope: "row", role: "rowheader" }, shown);
    return h("td", { ...attributes, role: "cell", "data-label": column.wide ? null : column.label }, shown);
  });
  return h("tr", { role: "row", class: className }, cells);
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return typeof a === "string" ? a.localeCompare(b) : a - b;
}

// The numbers behind a chart, closed until somebody wants them; they are made only then.
export function behind(words, make) {
  const element = h("details", {}, h("summary", {}, words));
  element.addEventListener(
    "toggle",
    () => element.append(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": words }, make())),
    { once: true },
  );
  return element;
}
