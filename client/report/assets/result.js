/**
 * What was found.
 */

import { report } from "./data.js";
import { byId, create } from "./dom.js";
import { figure, milliseconds } from "./figures.js";
import { createTable } from "./table.js";
import { createSwatch } from "./theme.js";

/** @typedef {import("./table.js").Column<Report.Configuration>} Column */

/** @typedef {Exclude<keyof Report.Figures, "interval_ms">} FigureName */

/** @type {Record<string, string>} */
const MARKS = { ok: "✓ ok", suspect: "? suspect", unreliable: "⚠ unreliable" };

/**
 * Show a verdict as sign and word.
 * @param {{verdict: string | null}} each
 */
export function createVerdict(each) {
  const words = each.verdict ? MARKS[each.verdict] : "✗ no result";
  return create("span", { class: `verdict ${each.verdict ?? "none"}` }, words);
}

/**
 * Show whose line or row it is.
 * @param {number} look
 * @param {string} title
 * @param {string} subtitle
 * @param {{dashed?: boolean}} [how]
 */
export function createNames(look, title, subtitle, { dashed = false } = {}) {
  const names = create(
    "span",
    { class: "names" },
    create("b", {}, title),
    create("span", { class: "small" }, subtitle),
  );
  return create("span", { class: "who" }, createSwatch(look, { dashed }), names);
}

/**
 * Find the best value of a column among those that may be ranked.
 * @param {(each: Report.Configuration) => number | null} figureOf
 * @param {boolean} lower whether less is better
 */
export function findBest(figureOf, lower) {
  const ranked = report.configurations.filter((each) => each.verdict === "ok" || each.verdict === "suspect");
  const values = ranked.map(figureOf).filter((value) => value !== null);
  if (new Set(values).size < 2) return null;
  return lower ? Math.min(...values) : Math.max(...values);
}

/**
 * @param {string} label
 * @param {FigureName} key
 * @param {{lower?: boolean, show?: (value: number | null) => string}} [how]
 * @returns {Column}
 */
function describeColumn(label, key, { lower = true, show = milliseconds } = {}) {
  const value = (/** @type {Report.Configuration} */ each) => each.figures[key];
  const top = findBest(value, lower);
  const hint = lower ? "lower is better" : "higher is better";
  /** @param {Report.Configuration} each */
  const isBest = (each) => top !== null && each.figures[key] === top && each.verdict !== "unreliable";
  return { label, hint, right: true, value, show: (each) => show(value(each)), best: isBest };
}

/** @param {Report.Configuration} each */
function showMedian(each) {
  const value = each.figures.p50_ms;
  if (value === null) return "n/a";
  const interval = each.figures.interval_ms;
  if (!interval) return milliseconds(value);
  const words = each.jobs > 1 ? `${each.jobs} jobs: ` : "";
  const range = `${words}${milliseconds(interval[0])} to ${milliseconds(interval[1])}`;
  return create(
    "span",
    {},
    milliseconds(value),
    create("span", { class: "small muted", title: "95 % interval" }, create("br"), range),
  );
}

/**
 * Show a percentile, or why the sample does not support it.
 * @param {Report.Configuration} each
 * @param {"p90" | "p95"} name
 */
function showPercentile(each, name) {
  const value = each.figures[`${name}_ms`];
  if (value !== null || !each.unsupported[name]) return milliseconds(value);
  return create("span", {}, "n/a", create("br"), create("span", { class: "small muted why" }, each.unsupported[name]));
}

/** @param {{verdict: string | null, problem: string | null, reasons: Report.Reason[]}} each */
function showReasons(each) {
  const words = [...new Set(each.reasons.map((reason) => reason.detail))];
  return create(
    "span",
    {},
    createVerdict(each),
    create("br"),
    create("span", { class: "small muted" }, each.problem ?? words.join("; ")),
  );
}

/** Show the figures of all configurations and programs, and what must be known about them. */
export function showResult() {
  const place = byId("result");
  if (report.configurations.length) place.append(createResultTable());
  if (report.programs.length) place.append(createProgramTable());
  for (const notice of report.notices) {
    const mark = notice.level === "warning" ? "⚠ " : "";
    place.append(
      create("p", { class: `notice ${notice.level}` }, create("strong", {}, mark, notice.title), " ", notice.text),
    );
  }
  if (report.statements.length) {
    place.append(create("h3", {}, "What the samples can tell"));
    place.append(
      create(
        "ul",
        { class: "statements" },
        report.statements.map((line) => create("li", {}, line)),
      ),
    );
  }
}

/** @param {number | null} energy */
const millijoules = (energy) => (energy === null ? "n/a" : `${figure(energy)} mJ`);

/** @param {number | null} temperature */
const celsius = (temperature) => (temperature === null ? "n/a" : `${temperature.toFixed(1)} °C`);

/** @type {Column} */
const HOTTEST = {
  label: "Hottest",
  hint: "CPU",
  right: true,
  value: (each) => each.figures.temperature_max_celsius,
  show: (each) => celsius(each.figures.temperature_max_celsius),
};

/** Create the table of configurations. */
function createResultTable() {
  const figures = report.configurations.map((each) => each.figures);
  /** @param {FigureName} key */
  const has = (key) => figures.some((each) => each[key] !== null);
  const tail = has("p95_ms") || !has("p90_ms") ? "p95" : "p90";
  /** @type {Column[]} */
  const columns = [
    {
      label: "Configuration",
      rowHead: true,
      wide: true,
      show: (each) => createNames(each.id, each.title, each.subtitle),
    },
    describeColumn("Load", "load_ms"),
    describeColumn("First inference", "first_inference_ms"),
    { ...describeColumn("Latency, median", "p50_ms"), show: showMedian },
    { ...describeColumn(tail, `${tail}_ms`), show: (each) => showPercentile(each, tail) },
    describeColumn("Frames per second", "fps", { lower: false, show: figure }),
  ];
  if (has("energy_mj")) columns.push(describeColumn("Energy a frame", "energy_mj", { show: millijoules }));
  if (has("temperature_max_celsius")) columns.push(HOTTEST);
  columns.push({ label: "Verdict", wide: true, show: showReasons });
  return create("div", { class: "scroll" }, createTable({ columns, rows: report.configurations, className: "cards" }));
}

/** Create the table of programs. */
function createProgramTable() {
  /** @type {import("./table.js").Column<Report.Program>[]} */
  const columns = [
    { label: "Program", rowHead: true, wide: true, show: (each) => createNames(each.id, each.name, each.command) },
    {
      label: "Ended with",
      right: true,
      show: (each) => (each.exit_code === null ? (each.problem ?? "n/a") : `exit code ${each.exit_code}`),
    },
    {
      label: "Duration",
      right: true,
      show: (each) => (each.duration_s === null ? "n/a" : `${figure(each.duration_s)} s`),
    },
    {
      label: "CPU time",
      right: true,
      show: (each) => (each.cpu_s === null ? "n/a" : `${figure(each.cpu_s)} s`),
    },
    {
      label: "Memory at most",
      right: true,
      show: (each) => (each.memory_max_mib === null ? "n/a" : `${figure(each.memory_max_mib)} MiB`),
    },
    { label: "Verdict", wide: true, show: showReasons },
  ];
  return create("div", { class: "scroll" }, createTable({ columns, rows: report.programs, className: "cards" }));
}
