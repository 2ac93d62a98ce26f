/**
 * Tables.
 */

import { create } from "./dom.js";

/** @typedef {string | number | null | undefined} Key */

/**
 * A column of a table.
 * @template Row
 * @typedef {object} Column
 * @property {string | Node} label
 * @property {string} [hint] that stands below the label
 * @property {(row: Row) => Key} [value] what sorts, and is shown where there is no `show`
 * @property {(row: Row) => string | Node} [show]
 * @property {boolean} [right] whether it is aligned on its right side
 * @property {boolean} [rowHead] whether it says what the row is about
 * @property {boolean} [wide]
 * @property {(row: Row) => boolean} [best] whether a row's value is marked as the best one
 */

/**
 * Create a table; with `sortable` a click on a head sorts it.
 * @template Row
 * @param {object} parts
 * @param {string} [parts.caption]
 * @param {readonly Column<Row>[]} parts.columns
 * @param {readonly Row[]} parts.rows
 * @param {string} [parts.className]
 * @param {boolean} [parts.sortable]
 * @param {readonly Row[]} [parts.sums] rows below, which are not sorted
 */
export function createTable({ caption, columns, rows, className = "", sortable = false, sums = [] }) {
  const body = create("tbody", { role: "rowgroup" });
  const heads = columns.map((column) => createHead(column, sortable, () => sortBy(column)));
  const element = create(
    "table",
    { class: className, role: "table" },
    caption ? create("caption", {}, caption) : null,
    create("thead", { role: "rowgroup" }, create("tr", { role: "row" }, heads)),
    body,
  );
  /** @param {readonly Row[]} ordered */
  const fill = (ordered) => {
    body.replaceChildren(
      ...ordered.map((row) => createRow(columns, row)),
      ...sums.map((row) => createRow(columns, row, "sum")),
    );
  };
  /** @param {Column<Row>} column */
  function sortBy(column) {
    const head = heads[columns.indexOf(column)];
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    fill([...rows].sort((a, b) => (down ? -1 : 1) * compare(column.value?.(a), column.value?.(b))));
  }
  fill(rows);
  return element;
}

/**
 * @template Row
 * @param {Column<Row>} column
 * @param {boolean} sortable
 * @param {() => void} sort
 */
function createHead(column, sortable, sort) {
  const words =
    sortable && column.value ? create("button", { type: "button", onclick: sort }, column.label) : column.label;
  const hint = column.hint ? create("span", { class: "small" }, column.hint) : null;
  const sorting = sortable && column.value ? "none" : null;
  return create(
    "th",
    { scope: "col", role: "columnheader", class: column.right ? "right" : null, "aria-sort": sorting },
    words,
    hint,
  );
}

/**
 * @template Row
 * @param {readonly Column<Row>[]} columns
 * @param {Row} row
 * @param {string | null} [className]
 */
function createRow(columns, row, className = null) {
  const cells = columns.map((column) => {
    const value = column.value ? column.value(row) : null;
    const shown = column.show ? column.show(row) : String(value ?? "");
    const classes = [column.right && "right", column.wide && "wide", column.best?.(row) && "best"].filter(Boolean);
    const attributes = { class: classes.join(" ") || null };
    if (column.rowHead) return create("th", { ...attributes, scope: "row", role: "rowheader" }, shown);
    return create(
      "td",
      { ...attributes, role: "cell", "data-label": column.wide ? null : String(column.label) },
      shown,
    );
  });
  return create("tr", { role: "row", class: className }, cells);
}

/**
 * Order two values for sorting; what is missing comes first.
 * @param {Key} a
 * @param {Key} b
 */
function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

/**
 * Create a place for the numbers behind a chart, closed until somebody wants them; they are made only then.
 * @param {string} words
 * @param {() => Node} make
 */
export function createDetails(words, make) {
  const element = create("details", {}, create("summary", {}, words));
  element.addEventListener(
    "toggle",
    () => element.append(create("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": words }, make())),
    { once: true },
  );
  return element;
}
