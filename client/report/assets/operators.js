/**
 * The table of operators.
 */

import { factor, figure, percent } from "./figures.js";
import { isKnown } from "./format.js";
import { createTable } from "./table.js";

/**
 * What an operator costs in one profile; of two that are compared less is known.
 * @typedef {Report.LayerCell & Partial<Pick<Report.Layer, "std_us" | "macs" | "parameters" | "gflops">>} Cell
 */

/** @typedef {{number: number | string, name: string, shape: string, layers: readonly (Cell | null)[]}} Row */

/** @typedef {import("./table.js").Column<Row>} Column */

/** @param {number | null | undefined} value */
const figureOrNothing = (value) => (isKnown(value) ? figure(value) : "");

/** @param {Row} row */
const timesSlower = ({ layers: [a, b] }) => (a && b && a.mean_us > 0 ? b.mean_us / a.mean_us : null);

/** @type {Column[]} */
const DETAILS = [
  {
    label: "executed as",
    value: (row) => [...new Set(row.layers.map((layer) => layer?.executed_as ?? "-"))].join(" / "),
  },
  { label: "output", value: (row) => row.shape },
];

/**
 * What is shown of a lone profile.
 * @type {Column[]}
 */
const OF_ONE = [
  {
    label: "std",
    hint: "µs",
    right: true,
    value: (row) => row.layers[0]?.std_us,
    show: (row) => figureOrNothing(row.layers[0]?.std_us),
  },
  {
    label: "MMAC",
    right: true,
    value: (row) => row.layers[0]?.macs,
    show: (row) => (row.layers[0]?.macs ? figure(row.layers[0].macs / 1e6) : ""),
  },
  {
    label: "parameters",
    right: true,
    value: (row) => row.layers[0]?.parameters,
    show: (row) => String(row.layers[0]?.parameters || ""),
  },
  {
    label: "GFLOP/s",
    right: true,
    value: (row) => row.layers[0]?.gflops,
    show: (row) => figureOrNothing(row.layers[0]?.gflops),
  },
];

/** @type {Column} */
const RATIO = {
  label: "times",
  hint: "second over first",
  right: true,
  value: timesSlower,
  show: (row) => {
    const times = timesSlower(row);
    return times === null ? "" : factor(times);
  },
};

/**
 * Create the table of operators.
 * @param {readonly Row[]} rows
 * @param {readonly Row[]} rest which are summed up in a last row
 * @param {readonly Report.Profile[]} profiles
 */
export function createOperatorTable(rows, rest, profiles) {
  const one = profiles.length === 1;
  /** @type {Column[]} */
  const times = profiles.flatMap((profile, place) => [
    {
      label: one ? "mean" : `${profile.name}: mean`,
      hint: "µs",
      right: true,
      value: (row) => row.layers[place]?.mean_us ?? null,
      show: (row) => figure(row.layers[place]?.mean_us),
    },
    {
      label: one ? "share" : `${profile.name}: share`,
      right: true,
      value: (row) => row.layers[place]?.share ?? null,
      show: (row) => percent(row.layers[place]?.share),
    },
  ]);
  /** @type {Column[]} */
  const columns = [
    { label: "#", right: true, value: (row) => row.number },
    { label: "operator", rowHead: true, value: (row) => row.name },
    ...times,
    ...(one ? OF_ONE : [RATIO]),
    ...DETAILS,
  ];
  return createTable({
    columns,
    rows,
    className: "dense",
    sortable: true,
    sums: rest.length ? [sumUp(rest, profiles)] : [],
  });
}

/**
 * Sum up rows in one.
 * @param {readonly Row[]} rest
 * @param {readonly Report.Profile[]} profiles
 * @returns {Row}
 */
function sumUp(rest, profiles) {
  const layers = profiles.map((_, place) => ({
    mean_us: add(rest, place, "mean_us"),
    share: add(rest, place, "share"),
    macs: add(rest, place, "macs"),
    parameters: add(rest, place, "parameters"),
    std_us: null,
    gflops: null,
    executed_as: "",
  }));
  return { number: "", name: `${rest.length} others together`, shape: "", layers };
}

/**
 * @param {readonly Row[]} rows
 * @param {number} place
 * @param {"mean_us" | "share" | "macs" | "parameters"} name
 */
function add(rows, place, name) {
  return rows.reduce((sum, row) => sum + (row.layers[place]?.[name] ?? 0), 0);
}
