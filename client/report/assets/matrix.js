/**
 * Hardware during the run.
 */

import { discard, redraw } from "./charts.js";
import { createControls, showRange } from "./controls.js";
import { labelOf, lookOf, report } from "./data.js";
import { create } from "./dom.js";
import { figure, seconds, withUnit } from "./figures.js";
import { plural } from "./format.js";
import { createPanel, forgetCursors } from "./panel.js";
import { chooseScale, findValue } from "./plot.js";
import { createNames } from "./result.js";
import { appendSection } from "./sections.js";
import { chosenComponents, chosenRecordings, remember, restore, selection } from "./selection.js";
import { createDetails, createTable } from "./table.js";
import { createSwatch } from "./theme.js";

const COLUMNS_MAX = 4;
const TABLE_ROWS = 25;

const heads = create("div");
const rows = create("div");
const matrix = create("div", { id: "matrix" }, heads, rows);

/** Show the telemetry of all recordings: a row for each component. */
export function showMatrix() {
  if (!report.recordings.length) return;
  restore();
  const place = appendSection("hardware", "Hardware during the run");
  place.append(createControls({ onChoice: draw, onRange: showNewRange }), createKey(), matrix, createQuality());
  draw();
}

/**
 * Show another part: charts stay and take the new range; the field that is being edited keeps its text.
 * @param {HTMLInputElement} [source] where it was changed
 */
function showNewRange(source) {
  showRange(source);
  remember();
  for (const element of rows.querySelectorAll(".chart")) redraw(element);
}

/** Create the explanation of signs. */
function createKey() {
  const throttled = report.recordings.some((each) => each.throttled.length);
  const entries = [
    throttled ? create("span", {}, create("i", { class: "lane-key" }), "throttled") : null,
    create("span", {}, create("i", { class: "outside-key" }), "before and after the measurement (side by side)"),
    create(
      "span",
      { class: "muted" },
      "Drag over a plot to choose a part; arrow keys move the cursor of a focused one.",
    ),
  ];
  return create("div", { class: "legend" }, entries);
}

/** Show what is chosen. */
function draw() {
  forgetCursors();
  discard(rows);
  const recordings = chosenRecordings();
  const components = chosenComponents();
  const overlaid = selection.view === "over";
  matrix.classList.toggle("many", !overlaid && recordings.length > COLUMNS_MAX);
  if (matrix.classList.contains("many"))
    for (const [name, value] of [
      ["tabindex", "0"],
      ["role", "region"],
      ["aria-label", "Hardware, scrolls sideways"],
    ])
      matrix.setAttribute(name, value);
  else for (const name of ["tabindex", "role", "aria-label"]) matrix.removeAttribute(name);
  heads.replaceChildren(overlaid ? createOverlaidHeads(recordings) : createSideHeads(recordings));
  rows.replaceChildren(...components.map((component) => createRow(component, recordings, overlaid)));
  if (!recordings.length || !components.length)
    rows.replaceChildren(
      create("p", { class: "absence" }, recordings.length ? "Choose a component above." : "Choose a run above."),
    );
  showRange();
  remember();
}

/** @param {Report.ShownRecording} recording */
function createWhose(recording) {
  const again = recording.repeat ? `, repeat ${recording.repeat + 1}` : "";
  return createNames(lookOf(recording), recording.title, recording.subtitle + again);
}

/** @param {readonly Report.ShownRecording[]} recordings */
function createSideHeads(recordings) {
  const columns = recordings.map((each) => {
    const head = create("div", {}, createWhose(each), createCauses(each));
    head.style.setProperty("--column", `var(--series-${lookOf(each) % 6})`);
    return head;
  });
  return create("div", { class: "columns heads" }, columns);
}

/** @param {readonly Report.ShownRecording[]} recordings */
function createOverlaidHeads(recordings) {
  return create(
    "div",
    { class: "legend" },
    recordings.map((each) => create("span", {}, createSwatch(lookOf(each)), labelOf(each), createCauses(each))),
  );
}

/**
 * Say what throttled a recording, or that nothing could have said so.
 * @param {Report.ShownRecording} recording
 */
function createCauses(recording) {
  const names = [...new Set(recording.throttled.map((span) => span.name))];
  if (names.length) return create("span", { class: "small differs" }, `⚠ throttled: ${names.join(", ")}`);
  return recording.throttle_watched.length
    ? null
    : create("span", { class: "small muted" }, "throttling cannot be seen here");
}

/**
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 * @param {boolean} overlaid
 */
function createRow(component, recordings, overlaid) {
  const measured = recordings.filter((each) => component.key in each.channels);
  const unit = component.unit ? create("span", { class: "unit" }, `  ${component.unit}`) : null;
  const element = create("div", { class: "row" }, create("h3", {}, component.name, unit));
  if (!measured.length) {
    element.append(createAbsence(component, recordings));
    return element;
  }
  const scale = chooseScale(component, measured);
  const throttled = measured.filter((each) => each.throttled.length).length;
  if (overlaid) {
    element.append(createPanel(component, measured, scale, throttled, showNewRange));
    for (const each of recordings) if (!measured.includes(each)) element.append(createAbsence(component, [each]));
  } else {
    const cells = recordings.map((each) =>
      create(
        "div",
        { class: "cell" },
        create("div", { class: "whose" }, createWhose(each)),
        measured.includes(each)
          ? createPanel(component, [each], scale, Math.min(throttled, 1), showNewRange)
          : createAbsence(component, [each]),
      ),
    );
    element.append(create("div", { class: "columns" }, cells));
  }
  element.append(createDetails(`Data: ${component.name.toLowerCase()}`, () => createData(component, measured)));
  return element;
}

/**
 * Say why there is no plot.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function createAbsence(component, recordings) {
  const reasons = [
    ...new Set(recordings.map((each) => each.unavailable[component.key] ?? "this run did not record it")),
  ];
  const whoseWords = recordings.length === 1 && selection.view === "over" ? `${labelOf(recordings[0])}: ` : "";
  return create("p", { class: "absence" }, `${whoseWords}Not measured. ${reasons.join("; ")}.`);
}

/**
 * Create the tables behind a row.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function createData(component, recordings) {
  /**
   * @param {string} words
   * @param {keyof Report.Statistics} name
   * @returns {import("./table.js").Column<Report.ShownRecording>}
   */
  const describeStatistic = (words, name) => ({
    label: words,
    right: true,
    value: (each) => each.channels[component.key].statistics?.[name] ?? null,
    show: (each) => withUnit(each.channels[component.key].statistics?.[name], component.unit),
  });
  const columns = [
    { label: "Timed phase, every sample", rowHead: true, value: labelOf },
    describeStatistic("median", "median"),
    describeStatistic("p95", "p95"),
    describeStatistic("lowest", "min"),
    describeStatistic("highest", "max"),
  ];
  const moments = Array.from(
    { length: TABLE_ROWS },
    (_, n) => selection.from + ((selection.to - selection.from) * n) / (TABLE_ROWS - 1),
  );
  /** @type {import("./table.js").Column<number>[]} */
  const values = [
    { label: "at", rowHead: true, value: seconds },
    ...recordings.map((each) => describeNewest(component, each)),
  ];
  const words = `${component.name}${component.unit ? `, ${component.unit}` : ""}: newest value at ${TABLE_ROWS} moments. Source: ${component.source}`;
  return create(
    "div",
    {},
    createTable({ columns, rows: recordings, className: "dense" }),
    createTable({ caption: words, columns: values, rows: moments, className: "dense" }),
  );
}

/**
 * Describe the column of a recording's newest values.
 * @param {Report.Component} component
 * @param {Report.ShownRecording} recording
 * @returns {import("./table.js").Column<number>}
 */
function describeNewest(component, recording) {
  const value = (/** @type {number} */ t) => findValue(recording.channels[component.key], t);
  const show = (/** @type {number} */ t) => {
    const found = value(t);
    return found === null ? "" : figure(found);
  };
  return { label: labelOf(recording), right: true, value, show };
}

/** Create the account of how well it was sampled. */
function createQuality() {
  const lines = report.recordings.map(
    (each) =>
      `${labelOf(each)}: began ${each.started_at}, ${plural(each.samples, "sample")} every ${each.interval_s} s, ${each.missed} missed, the latest ${(1000 * each.late_s_max).toFixed(0)} ms late`,
  );
  const list = create(
    "ul",
    { class: "statements small" },
    lines.map((line) => create("li", {}, line)),
  );
  const thinning = report.thinning ? create("p", { class: "small muted" }, report.thinning) : null;
  return create("div", {}, thinning, create("details", {}, create("summary", {}, "How well it was sampled"), list));
}
