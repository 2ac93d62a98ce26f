import { discard, redraw } from "./charts.js";
import { labelOf, lookOf, report } from "./data.js";
import { h, section } from "./dom.js";
import { figure, plural, seconds, withUnit } from "./format.js";
import { forgetCursors, panel } from "./panel.js";
import { scaleOf, valueAt } from "./plot.js";
import { who } from "./result.js";
import { chosenComponents, chosenRecordings, isMeasured, longest, remember, restore, selection, setRange } from "./selection.js";
import { behind, table } from "./table.js";
import { swatch } from "./theme.js";

const COLUMNS_MAX = 4;
const TABLE_ROWS = 25;

let rows = null;
let heads = null;
let ranges = null;

export function showMatrix() {
  if (!report.recordings.length) return;
  restore();
  const place = section("hardware", "Hardware during the run");
  heads = h("div", {});
  rows = h("div", {});
  place.append(controls(), key(), h("div", { id: "matrix" }, heads, rows), quality());
  draw();
}

function controls() {
  return h(
    "div",
    { class: "controls" },
    h("fieldset", {}, h("legend", {}, "Runs"), h("div", { class: "chips" }, report.recordings.map(runChip))),
    componentChoice(),
    h("fieldset", {}, h("legend", {}, "View"), h("div", { class: "chips" }, viewChip("side", "Side by side"), viewChip("over", "Overlaid"))),
    rangeChoice(),
  );
}

function runChip(recording) {
  const toggle = (event) => choose(selection.recordings, recording.id, event.target.checked);
  const box = h("input", { type: "checkbox", checked: selection.recordings.has(recording.id), onchange: toggle });
  return h("label", { class: "chip" }, box, swatch(lookOf(recording)), labelOf(recording));
}

function componentChoice() {
  const first = report.components.filter((each) => each.primary);
  const more = report.components.filter((each) => !each.primary);
  const chips = h("div", { class: "chips" }, first.map(componentChip));
  if (more.length)
    chips.append(
      h("details", {}, h("summary", {}, `${plural(more.length, "more sensor")}`), h("div", { class: "chips" }, more.map(componentChip))),
    );
  return h("fieldset", {}, h("legend", {}, "Components"), chips);
}

function componentChip(component) {
  const toggle = (event) => choose(selection.components, component.key, event.target.checked);
  const box = h("input", { type: "checkbox", checked: selection.components.has(component.key), onchange: toggle });
  const absent = isMeasured(component) ? null : h("span", { class: "absent" }, "not measured");
  return h("label", { class: "chip" }, box, component.name, absent);
}

function viewChip(value, words) {
  const change = () => {
    selection.view = value;
    draw();
  };
  const box = h("input", { type: "radio", name: "view", value, checked: selection.view === value, onchange: change });
  return h("label", { class: "chip" }, box, words);
}

function choose(set, value, wanted) {
  if (wanted) set.add(value);
  else set.delete(value);
  draw();
}

function rangeChoice() {
  const field = (words, name, type) =>
    h("input", { type, min: 0, max: longest.toFixed(2), step: "any", "aria-label": `${words}, seconds`, oninput: (event) => take(name, event) });
  ranges = { from: [field("from", "from", "range"), field("from", "from", "number")], to: [field("to", "to", "range"), field("to", "to", "number")] };
  const group = h(
    "div",
    { class: "range" },
    h("span", { class: "small" }, "from "), ranges.from, h("span", { class: "small" }, " to "), ranges.to, h("span", { class: "small" }, " s"),
    h("button", { type: "button", class: "plain", onclick: () => part(0, longest) }, "Whole run"),
    h("button", { type: "button", class: "plain", onclick: measuredPart }, "Measured part"),
  );
  return h("fieldset", {}, h("legend", {}, "Part of run"), group);
}

function take(name, event) {
  const value = event.target.valueAsNumber;
  if (Number.isNaN(value)) return;
  if (name === "from") setRange(value, selection.to);
  else setRange(Math.min(selection.from, value), value);
  rangeChanged(event.target);
}

function part(from, to) {
  setRange(from, to);
  rangeChanged();
}

// From the earliest to the latest moment at which any chosen run was timed.
function measuredPart() {
  const spans = chosenRecordings().flatMap((each) => each.phases.filter((phase) => phase.name === "timed" || phase.name === "command"));
  if (spans.length) part(Math.min(...spans.map((span) => span.start_s)), Math.max(...spans.map((span) => span.end_s)));
}

// Charts stay and take the new range; the field that is being edited keeps its text.
function rangeChanged(source = null) {
  showRange(source);
  remember();
  for (const element of rows.querySelectorAll(".chart")) redraw(element);
}

function showRange(source = null) {
  for (const name of ["from", "to"])
    for (const field of ranges[name]) if (field !== source) field.value = selection[name].toFixed(field.type === "number" ? 1 : 2);
}

function key() {
  const throttled = report.recordings.some((each) => each.throttled.length);
  const entries = [
    throttled ? h("span", {}, h("i", { class: "lane-key" }), "throttled") : null,
    h("span", {}, h("i", { class: "outside-key" }), "before and after the measurement (side by side)"),
    h("span", { class: "muted" }, "Drag over a plot to choose a part; arrow keys move the cursor of a focused one."),
  ];
  return h("div", { class: "legend" }, entries);
}

function draw() {
  forgetCursors();
  discard(rows);
  const recordings = chosenRecordings();
  const components = chosenComponents();
  const overlaid = selection.view === "over";
  const matrix = heads.parentElement;
  matrix.classList.toggle("many", !overlaid && recordings.length > COLUMNS_MAX);
  if (matrix.classList.contains("many")) for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", "Hardware, scrolls sideways"]]) matrix.setAttribute(name, value);
  else for (const name of ["tabindex", "role", "aria-label"]) matrix.removeAttribute(name);
  heads.replaceChildren(overlaid ? overlaidHeads(recordings) : sideHeads(recordings));
  rows.replaceChildren(...components.map((component) => row(component, recordings, overlaid)));
  if (!recordings.length || !components.length)
    rows.replaceChildren(h("p", { class: "absence" }, recordings.length ? "Choose a component above." : "Choose a run above."));
  showRange();
  remember();
}

function whose(recording) {
  const again = recording.repeat ? `, repeat ${recording.repeat + 1}` : "";
  return who(lookOf(recording), recording.title, recording.subtitle + again);
}

function sideHeads(recordings) {
  const columns = recordings.map((each) => {
    const head = h("div", {}, whose(each), causes(each));
    head.style.setProperty("--column", `var(--series-${lookOf(each) % 6})`);
    return head;
  });
  return h("div", { class: "columns heads" }, columns);
}

function overlaidHeads(recordings) {
  return h("div", { class: "legend" }, recordings.map((each) => h("span", {}, swatch(lookOf(each)), labelOf(each), causes(each))));
}

// What throttled a recording, or that nothing could have said so.
function causes(recording) {
  const names = [...new Set(recording.throttled.map((span) => span.name))];
  if (names.length) return h("span", { class: "small differs" }, `⚠ throttled: ${names.join(", ")}`);
  return recording.throttle_watched.length ? null : h("span", { class: "small muted" }, "throttling cannot be seen here");
}

function row(component, recordings, overlaid) {
  const measured = recordings.filter((each) => component.key in each.channels);
  const unit = component.unit ? h("span", { class: "unit" }, `  ${component.unit}`) : null;
  const element = h("div", { class: "row" }, h("h3", {}, component.name, unit));
  if (!measured.length) {
    element.append(absence(component, recordings));
    return element;
  }
  const scale = scaleOf(component, measured);
  const throttled = measured.filter((each) => each.throttled.length).length;
  if (overlaid) {
    element.append(panel(component, measured, scale, throttled, rangeChanged));
    for (const each of recordings) if (!measured.includes(each)) element.append(absence(component, [each]));
  } else {
    const cells = recordings.map((each) => h("div", { class: "cell" }, h("div", { class: "whose" }, whose(each)), measured.includes(each) ? panel(component, [each], scale, Math.min(throttled, 1), rangeChanged) : absence(component, [each])));
    element.append(h("div", { class: "columns" }, cells));
  }
  element.append(behind(`Data: ${component.name.toLowerCase()}`, () => dataOf(component, measured)));
  return element;
}

function absence(component, recordings) {
  const reasons = [...new Set(recordings.map((each) => each.unavailable[component.key] ?? "this run did not record it"))];
  const whoseWords = recordings.length === 1 && selection.view === "over" ? `${labelOf(recordings[0])}: ` : "";
  return h("p", { class: "absence" }, `${whoseWords}Not measured. ${reasons.join("; ")}.`);
}

function dataOf(component, recordings) {
  const statistic = (words, name) => ({ label: words, right: true, value: (each) => each.channels[component.key].statistics?.[name] ?? null, show: (value) => withUnit(value, component.unit) });
  const columns = [
    { label: "Timed phase, every sample", rowHead: true, value: labelOf },
    statistic("median", "median"),
    statistic("p95", "p95"),
    statistic("lowest", "min"),
    statistic("highest", "max"),
  ];
  const moments = Array.from({ length: TABLE_ROWS }, (_, n) => selection.from + ((selection.to - selection.from) * n) / (TABLE_ROWS - 1));
  const values = [
    { label: "at", rowHead: true, value: seconds },
    ...recordings.map((each) => ({ label: labelOf(each), right: true, value: (t) => valueAt(each.channels[component.key], t), show: (value) => (value === null ? "" : figure(value)) })),
  ];
  const words = `${component.name}${component.unit ? `, ${component.unit}` : ""}: newest value at ${TABLE_ROWS} moments. Source: ${component.source}`;
  return h("div", {}, table({ columns, rows: recordings, className: "dense" }), table({ caption: words, columns: values, rows: moments, className: "dense" }));
}

function quality() {
  const lines = report.recordings.map((each) => `${labelOf(each)}: began ${each.started_at}, ${plural(each.samples, "sample")} every ${each.interval_s} s, ${each.missed} missed, the latest ${(1000 * each.late_s_max).toFixed(0)} ms late`);
  const list = h("ul", { class: "statements small" }, lines.map((line) => h("li", {}, line)));
  const thinning = report.thinning ? h("p", { class: "small muted" }, report.thinning) : null;
  return h("div", {}, thinning, h("details", {}, h("summary", {}, "How well it was sampled"), list));
}
