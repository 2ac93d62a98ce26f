/**
 * Hardware during the run.
 */

import { discard, redraw } from "./charts.js";
import { labelOf, lookOf, report } from "./data.js";
import { create, isChecked, targetOf } from "./dom.js";
import { figure, seconds, withUnit } from "./figures.js";
import { plural } from "./format.js";
import { createPanel, forgetCursors } from "./panel.js";
import { chooseScale, findValue } from "./plot.js";
import { createNames } from "./result.js";
import { appendSection } from "./sections.js";
import {
  chosenComponents,
  chosenRecordings,
  isMeasured,
  longest,
  remember,
  restore,
  selection,
  setRange,
} from "./selection.js";
import { createDetails, createTable } from "./table.js";
import { createSwatch } from "./theme.js";

const COLUMNS_MAX = 4;
const TABLE_ROWS = 25;

/** @typedef {"from" | "to"} End */

/** @type {readonly End[]} */
const ENDS = ["from", "to"];

const heads = create("div");
const rows = create("div");
const matrix = create("div", { id: "matrix" }, heads, rows);
/**
 * The fields of both ends, which show the same.
 * @type {Record<End, HTMLInputElement[]>}
 */
const ranges = {
  from: [createField("from", "range"), createField("from", "number")],
  to: [createField("to", "range"), createField("to", "number")],
};

/** Show the telemetry of all recordings: a row for each component. */
export function showMatrix() {
  if (!report.recordings.length) return;
  restore();
  const place = appendSection("hardware", "Hardware during the run");
  place.append(createControls(), createKey(), matrix, createQuality());
  draw();
}

/** Create what chooses the runs, the components, the view and the part of the run. */
function createControls() {
  return create(
    "div",
    { class: "controls" },
    create(
      "fieldset",
      {},
      create("legend", {}, "Runs"),
      create("div", { class: "chips" }, report.recordings.map(createRunChip)),
    ),
    createComponentChoice(),
    create(
      "fieldset",
      {},
      create("legend", {}, "View"),
      create("div", { class: "chips" }, createViewChip("side", "Side by side"), createViewChip("over", "Overlaid")),
    ),
    createRangeChoice(),
  );
}

/** @param {Report.ShownRecording} recording */
function createRunChip(recording) {
  const toggle = (/** @type {Event} */ event) => choose(selection.recordings, recording.id, isChecked(event));
  const box = create("input", { type: "checkbox", checked: selection.recordings.has(recording.id), onchange: toggle });
  return create("label", { class: "chip" }, box, createSwatch(lookOf(recording)), labelOf(recording));
}

/** Create what chooses the components. */
function createComponentChoice() {
  const first = report.components.filter((each) => each.primary);
  const more = report.components.filter((each) => !each.primary);
  const chips = create("div", { class: "chips" }, first.map(createComponentChip));
  if (more.length)
    chips.append(
      create(
        "details",
        {},
        create("summary", {}, `${plural(more.length, "more sensor")}`),
        create("div", { class: "chips" }, more.map(createComponentChip)),
      ),
    );
  return create("fieldset", {}, create("legend", {}, "Components"), chips);
}

/** @param {Report.Component} component */
function createComponentChip(component) {
  const toggle = (/** @type {Event} */ event) => choose(selection.components, component.key, isChecked(event));
  const box = create("input", { type: "checkbox", checked: selection.components.has(component.key), onchange: toggle });
  const absent = isMeasured(component) ? null : create("span", { class: "absent" }, "not measured");
  return create("label", { class: "chip" }, box, component.name, absent);
}

/**
 * @param {"side" | "over"} value
 * @param {string} words
 */
function createViewChip(value, words) {
  const change = () => {
    selection.view = value;
    draw();
  };
  const box = create("input", {
    type: "radio",
    name: "view",
    value,
    checked: selection.view === value,
    onchange: change,
  });
  return create("label", { class: "chip" }, box, words);
}

/**
 * Show something, or do not.
 * @template T
 * @param {Set<T>} set
 * @param {T} value
 * @param {boolean} wanted
 */
function choose(set, value, wanted) {
  if (wanted) set.add(value);
  else set.delete(value);
  draw();
}

/**
 * Create a field for an end of the part.
 * @param {End} end
 * @param {"range" | "number"} type
 */
function createField(end, type) {
  return create("input", {
    type,
    min: 0,
    max: longest.toFixed(2),
    step: "any",
    "aria-label": `${end}, seconds`,
    oninput: (event) => take(end, targetOf(event, HTMLInputElement)),
  });
}

/** Create what chooses the part of the run. */
function createRangeChoice() {
  const group = create(
    "div",
    { class: "range" },
    create("span", { class: "small" }, "from "),
    ranges.from,
    create("span", { class: "small" }, " to "),
    ranges.to,
    create("span", { class: "small" }, " s"),
    create("button", { type: "button", class: "plain", onclick: () => showPart(0, longest) }, "Whole run"),
    create("button", { type: "button", class: "plain", onclick: showMeasuredPart }, "Measured part"),
  );
  return create("fieldset", {}, create("legend", {}, "Part of run"), group);
}

/**
 * Take an end of the part from a field.
 * @param {End} end
 * @param {HTMLInputElement} source
 */
function take(end, source) {
  const value = source.valueAsNumber;
  if (Number.isNaN(value)) return;
  if (end === "from") setRange(value, selection.to);
  else setRange(Math.min(selection.from, value), value);
  showNewRange(source);
}

/**
 * Show a part of the run.
 * @param {number} from
 * @param {number} to
 */
function showPart(from, to) {
  setRange(from, to);
  showNewRange();
}

/** Show the run from the earliest to the latest moment at which any chosen one was timed. */
function showMeasuredPart() {
  const spans = chosenRecordings().flatMap((each) =>
    each.phases.filter((phase) => phase.name === "timed" || phase.name === "command"),
  );
  if (spans.length)
    showPart(Math.min(...spans.map((span) => span.start_s)), Math.max(...spans.map((span) => span.end_s)));
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

/** @param {HTMLInputElement} [source] */
function showRange(source) {
  for (const end of ENDS)
    for (const each of ranges[end])
      if (each !== source) each.value = selection[end].toFixed(each.type === "number" ? 1 : 2);
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
