/**
 * What chooses what is shown of the hardware.
 */

import { labelOf, lookOf, report } from "./data.js";
import { create, isChecked, targetOf } from "./dom.js";
import { plural } from "./format.js";
import { chosenRecordings, isMeasured, longest, selection, setRange } from "./selection.js";
import { createSwatch } from "./theme.js";

/**
 * Who is told of a choice: of another part of the run with the field where it was changed.
 * @typedef {{onChoice: () => void, onRange: (source?: HTMLInputElement) => void}} Listeners
 */

/** @typedef {"from" | "to"} End */

/** @type {readonly End[]} */
const ENDS = ["from", "to"];

/** @type {Listeners} */
let told = { onChoice: () => {}, onRange: () => {} };

/**
 * The fields of both ends, which show the same.
 * @type {Record<End, HTMLInputElement[]>}
 */
const ranges = {
  from: [createField("from", "range"), createField("from", "number")],
  to: [createField("to", "range"), createField("to", "number")],
};

/**
 * Create what chooses the runs, the components, the view and the part of the run.
 * @param {Listeners} listeners
 */
export function createControls({ onChoice, onRange }) {
  told = { onChoice, onRange };
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
    told.onChoice();
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
  told.onChoice();
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
  told.onRange(source);
}

/**
 * Show a part of the run.
 * @param {number} from
 * @param {number} to
 */
function showPart(from, to) {
  setRange(from, to);
  told.onRange();
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
 * Show the part of the run in its fields; the one that is being edited keeps its text.
 * @param {HTMLInputElement} [source]
 */
export function showRange(source) {
  for (const end of ENDS)
    for (const each of ranges[end])
      if (each !== source) each.value = selection[end].toFixed(each.type === "number" ? 1 : 2);
}
