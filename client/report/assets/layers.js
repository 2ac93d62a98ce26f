/**
 * Where the time goes, layer by layer.
 */

import { createChart, describeRows, discard } from "./charts.js";
import { colour } from "./colours.js";
import { report } from "./data.js";
import { create, isChecked, targetOf } from "./dom.js";
import { figure, percent } from "./figures.js";
import { createOperatorTable } from "./operators.js";
import { createVerdict } from "./result.js";
import { appendSection } from "./sections.js";
import { createSwatch, seriesColour, textStyle } from "./theme.js";

/** @typedef {[first: number, second: number]} Pair */

/** @typedef {import("./operators.js").Cell} Cell */
/** @typedef {import("./operators.js").Row} Row */

const TOP = 15;
const ROW = 24;
const NOBODY = -1;

const shown = create("div");
/** @type {Pair} */
let chosen = [0, NOBODY];
let every = false;

/** Show which operators the time goes to. */
export function showLayers() {
  if (!report.profiles.length) return;
  chosen = [0, report.profiles.length > 1 ? 1 : NOBODY];
  const place = appendSection("layers", "Where the time goes, layer by layer");
  place.append(report.profiles.length > 1 ? createChoice() : "", shown);
  draw();
}

/** Create what chooses the profiles. */
function createChoice() {
  /**
   * @param {0 | 1} place
   * @param {string} words
   * @param {boolean} withNobody
   */
  const createPicker = (place, words, withNobody) => {
    const options = report.profiles.map((each) =>
      create("option", { value: each.id, selected: chosen[place] === each.id }, nameOf(each)),
    );
    if (withNobody) options.unshift(create("option", { value: NOBODY }, "nothing"));
    const change = (/** @type {Event} */ event) => {
      chosen[place] = Number(targetOf(event, HTMLSelectElement).value);
      draw();
    };
    return create("label", {}, `${words} `, create("select", { onchange: change }, options));
  };
  return create(
    "div",
    { class: "controls" },
    create("div", { class: "range" }, createPicker(0, "Profile", false), createPicker(1, "beside", true)),
  );
}

/** @param {Report.Profile} each */
function nameOf(each) {
  return `${each.name}: ${each.model}, ${each.description}`;
}

/** Show the chosen profiles. */
function draw() {
  discard(shown);
  const comparison = findComparison(chosen);
  const profiles = (comparison ? chosen : chosen.slice(0, 1)).map((id) => report.profiles[id]);
  const rows = makeRows(profiles[0], comparison);
  const order = [...rows].sort((a, b) => findLongest(b) - findLongest(a));
  const top = order.slice(0, TOP);
  const rest = order.slice(TOP);
  const words = top
    .slice(0, 5)
    .map((row) => `${row.name} ${row.layers.map((layer) => `${figure(layer?.mean_us ?? 0)} µs`).join(" and ")}`);
  shown.replaceChildren(
    ...profiles.map(createHeading),
    comparison ? createAlignment(comparison) : "",
    create(
      "h3",
      {},
      `The slowest ${Math.min(TOP, order.length)}`,
      create("span", { class: "unit" }, "  µs an inference, mean; lower is better"),
    ),
    createChart(
      top.length * ROW * Math.max(1, 0.75 * profiles.length) + 16,
      `Time of the slowest operators: ${words.join("; ")}`,
      (width) => describe(top, profiles, width),
    ),
    createRowChoice(rows),
    create(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Operators" },
      createOperatorTable(every ? rows : top, every ? [] : rest, profiles),
    ),
  );
}

/** @param {Row} row */
function findLongest(row) {
  return Math.max(...row.layers.map((layer) => layer?.mean_us ?? 0));
}

/**
 * @param {Report.Profile} profile
 * @param {number} place
 */
function createHeading(profile, place) {
  const facts = Object.entries(profile.facts).map(([name, value]) => `${name} ${value}`);
  const mean =
    profile.mean_ms === null
      ? ""
      : `${figure(profile.mean_ms)} ms an inference with the profiler, ${figure(profile.plain_p50_ms)} ms without; `;
  const explained = profile.explained === null ? "" : `the operators explain ${percent(profile.explained)}. `;
  const why = [...new Set(profile.reasons.map((reason) => reason.detail))].join("; ");
  return create(
    "p",
    {},
    createSwatch(place, { dashed: false }),
    " ",
    create("b", {}, nameOf(profile)),
    " ",
    createVerdict(profile),
    why ? create("span", { class: "small muted" }, ` ${why}`) : "",
    create("br"),
    create(
      "span",
      { class: "small muted" },
      `${mean}${explained}${profile.iterations} runs, timed by ${profile.method}${profile.method_detail ? ` (${profile.method_detail})` : ""}. ${facts.join(", ")}.`,
    ),
  );
}

/** @param {Report.LayerComparison} comparison */
function createAlignment(comparison) {
  if (comparison.same_model)
    return create(
      "p",
      { class: "small muted" },
      "Both profiles are of the same file: an operator stands beside itself, whatever it was executed as.",
    );
  const words = "Operators correspond where kind and output shape follow one another in the same order.";
  return create(
    "p",
    { class: "notice warning" },
    create("strong", {}, "⚠ The profiles are of different files. "),
    words,
  );
}

/**
 * Find the two profiles as they were aligned in Python, whichever comes first here; null when they were not.
 * @param {Pair} pair
 * @returns {Report.LayerComparison | null}
 */
function findComparison([a, b]) {
  const found = report.layer_comparisons.find(
    (each) => (each.first === a && each.second === b) || (each.first === b && each.second === a),
  );
  if (!found) return null;
  const swapped = found.first !== a;
  return {
    ...found,
    lines: found.lines.map((line) => ({ ...line, cells: swapped ? [line.cells[1], line.cells[0]] : line.cells })),
  };
}

/**
 * Make a row for each operator with what it costs in each profile shown.
 * @param {Report.Profile} profile
 * @param {Report.LayerComparison | null} comparison
 * @returns {Row[]}
 */
function makeRows(profile, comparison) {
  if (comparison)
    return comparison.lines.map((line) => ({
      number: line.number ?? "",
      name: line.name,
      shape: line.shape,
      layers: line.cells,
    }));
  return profile.layers.map((layer) => ({
    number: layer.operator ?? layer.number,
    name: layer.name,
    shape: layer.shape,
    layers: [layer],
  }));
}

/**
 * Create what chooses whether every operator is shown.
 * @param {readonly Row[]} rows
 */
function createRowChoice(rows) {
  if (rows.length <= TOP) return "";
  const change = (/** @type {Event} */ event) => {
    every = isChecked(event);
    draw();
  };
  const box = create("input", { type: "checkbox", checked: every, onchange: change });
  return create(
    "p",
    {},
    create("label", { class: "chip" }, box, `All ${rows.length} operators, in the order of the model`),
  );
}

/**
 * @param {readonly Row[]} rows
 * @param {readonly Report.Profile[]} profiles
 * @param {number} width
 */
function describe(rows, profiles, width) {
  const wide = width > 560;
  const left = wide ? 290 : 150;
  const style = textStyle();
  /** @param {Row} row */
  const label = (row) => `${row.number} ${row.name}${wide ? `  ${row.shape}` : ""}`;
  return {
    animation: false,
    textStyle: style,
    grid: { left, right: 96, top: 4, bottom: 4 },
    xAxis: { type: "value", min: 0, max: "dataMax", show: false },
    yAxis: describeRows(rows.length, left, (n) => label(rows[n]), { fontSize: 11, color: colour("ink") }),
    series: profiles.map((_, place) => ({
      type: "bar",
      silent: true,
      barMaxWidth: 15,
      barGap: "15%",
      itemStyle: { color: seriesColour(place) },
      label: {
        show: true,
        position: "right",
        color: colour("ink"),
        fontSize: 11,
        formatter: (/** @type {{dataIndex: number}} */ { dataIndex }) => writeBarLabel(rows[dataIndex].layers[place]),
      },
      data: rows.map((row) => row.layers[place]?.mean_us ?? null),
    })),
  };
}

/** @param {Cell | null | undefined} layer */
function writeBarLabel(layer) {
  return layer ? `${figure(layer.mean_us)}  ${percent(layer.share)}` : "";
}
