/**
 * Plots with a cursor.
 */

import { createChart } from "./charts.js";
import { labelOf } from "./data.js";
import { create } from "./dom.js";
import { figure, seconds, withUnit } from "./figures.js";
import { BOTTOM, describePlot, findValue, LANE, shortName } from "./plot.js";
import { selection, setRange } from "./selection.js";

/**
 * Where time lies in a plot: its first pixel, how many there are, and the one of a moment.
 * @typedef {{start: number, width: number, place: (t: number) => number}} Geometry
 */

/**
 * @typedef {object} Cursor
 * @property {HTMLElement} plot
 * @property {HTMLElement} line
 * @property {HTMLElement} reading
 * @property {() => Geometry} geometry
 * @property {import("./plot.js").Box} box
 * @property {Report.Component} component
 * @property {readonly Report.ShownRecording[]} recordings
 */

const HEIGHT = 150;
const OVERLAID_HEIGHT = 220;
const LEFT = 48;
const RIGHT = 12;
const GUTTER = 150;
const GUTTER_NARROW = 96;
const NARROW = 600;
const DRAG_MIN = 6;
const STEPS = 200;

/** @type {Set<Cursor>} */
const cursors = new Set();
/** @type {number | null} */
let cursorAt = null;

/**
 * Create one plot of a component: a line for each recording, a lane for each that was throttled, a cursor shared by
 * all plots.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 * @param {import("./plot.js").Scale} scale
 * @param {number} laneCount how many lanes have room, so that the plots of a row stand level
 * @param {() => void} changed is called when a part of the run was chosen with the mouse
 */
export function createPanel(component, recordings, scale, laneCount, changed) {
  const overlaid = recordings.length > 1;
  const lanes = recordings.filter((each) => each.throttled.length);
  const box = {
    left: LEFT,
    right: overlaid ? (innerWidth < NARROW ? GUTTER_NARROW : GUTTER) : RIGHT,
    top: 10 + LANE * laneCount,
    height: overlaid ? OVERLAID_HEIGHT : HEIGHT,
  };
  const drawing = createChart(box.height, describe(component, recordings), () =>
    describePlot(component, recordings, scale, box, lanes),
  );
  const line = create("div", { class: "cursor", hidden: true });
  const chosen = create("div", { class: "chosen", hidden: true });
  const reading = create("div", { class: "reading" }, writeAtRest(component, recordings));
  const plot = create("div", describeSlider(component, recordings), drawing, line, chosen);
  const geometry = () => {
    const width = plot.clientWidth - box.left - box.right;
    return {
      start: box.left,
      width,
      place: (/** @type {number} */ t) => box.left + ((t - selection.from) / (selection.to - selection.from)) * width,
    };
  };
  cursors.add({ plot, line, reading, geometry, box, component, recordings });
  followPointer(plot, chosen, geometry, box, changed);
  followKeys(plot);
  return create("div", { class: "panel" }, reading, plot);
}

/** Forget the cursors of plots that left the page. */
export function forgetCursors() {
  cursors.clear();
  cursorAt = null;
}

/**
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function describeSlider(component, recordings) {
  return {
    class: "plot",
    tabindex: 0,
    role: "slider",
    "aria-label": `${component.name}, ${recordings.map(labelOf).join(" and ")}: moment of the run`,
    "aria-valuemin": selection.from,
    "aria-valuemax": selection.to,
    "aria-valuenow": selection.from,
    "aria-valuetext": "arrow keys move through the run",
  };
}

/**
 * Say in words what a plot shows.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function describe(component, recordings) {
  const words = recordings.map((each) => `${labelOf(each)}: ${writeStatistics(component, each)}`);
  const throttled = recordings.filter((each) => each.throttled.length).map((each) => `${labelOf(each)} was throttled`);
  return `${component.name} over time. ${[...words, ...throttled].join(". ")}`;
}

/**
 * @param {Report.Component} component
 * @param {Report.ShownRecording} recording
 */
function writeStatistics(component, recording) {
  const channel = recording.channels[component.key];
  if (!channel?.statistics) return "no value";
  const { median, min, max } = channel.statistics;
  return `median ${withUnit(median, component.unit)}, ${figure(min)} to ${figure(max)}`;
}

/**
 * What stands above a plot when nobody points at it: the timed phase of a lone recording.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function writeAtRest(component, recordings) {
  return recordings.length > 1 ? "" : writeStatistics(component, recordings[0]);
}

/**
 * Move the cursor of all plots to a moment; null takes it away.
 * @param {number | null} t
 */
function moveCursors(t) {
  cursorAt = t;
  for (const each of cursors) {
    const { line, reading, geometry, box, component, recordings, plot } = each;
    const visible = t !== null && t >= selection.from && t <= selection.to;
    line.hidden = !visible;
    reading.classList.toggle("at", visible);
    if (!visible) {
      reading.textContent = writeAtRest(component, recordings);
      continue;
    }
    line.style.left = `${geometry().place(t)}px`;
    line.style.top = `${box.top}px`;
    line.style.height = `${box.height - box.top - BOTTOM}px`;
    const values = recordings.map((recording) => {
      const value = findValue(recording.channels[component.key], t);
      const words = withUnit(value, component.unit);
      return recordings.length > 1 ? `${shortName(recording)} ${words}` : words;
    });
    const words = `${seconds(t)}: ${values.join(" · ")}`;
    reading.textContent = words;
    plot.setAttribute("aria-valuenow", t.toFixed(2));
    plot.setAttribute("aria-valuetext", words);
  }
}

/**
 * Follow the pointer over a plot.
 * @param {HTMLElement} plot
 * @param {HTMLElement} chosen what marks the part that is being chosen
 * @param {() => Geometry} geometry
 * @param {import("./plot.js").Box} box
 * @param {() => void} changed
 */
function followPointer(plot, chosen, geometry, box, changed) {
  /** @type {{x: number, t: number} | null} */
  let began = null;
  /** @param {PointerEvent} event */
  const timeAt = (event) => {
    const { start, width } = geometry();
    const share = (event.clientX - plot.getBoundingClientRect().left - start) / width;
    return selection.from + Math.min(Math.max(share, 0), 1) * (selection.to - selection.from);
  };
  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) began = { x: event.clientX, t: timeAt(event) };
  });
  plot.addEventListener("pointermove", (event) => {
    const t = timeAt(event);
    moveCursors(t);
    if (!began) return;
    const { place } = geometry();
    const [low, high] = [Math.min(began.t, t), Math.max(began.t, t)];
    chosen.hidden = false;
    chosen.style.left = `${place(low)}px`;
    chosen.style.width = `${place(high) - place(low)}px`;
    chosen.style.top = `${box.top}px`;
    chosen.style.height = `${box.height - box.top - BOTTOM}px`;
  });
  plot.addEventListener("pointerup", (event) => {
    const start = began;
    began = null;
    chosen.hidden = true;
    if (!start || Math.abs(event.clientX - start.x) < DRAG_MIN) return;
    const t = timeAt(event);
    setRange(Math.min(start.t, t), Math.max(start.t, t));
    changed();
  });
  plot.addEventListener("pointerleave", () => {
    began = null;
    chosen.hidden = true;
    moveCursors(null);
  });
}

/**
 * Let the keyboard move the cursor.
 * @param {HTMLElement} plot
 */
function followKeys(plot) {
  plot.addEventListener("keydown", (event) => {
    const step = ((selection.to - selection.from) / STEPS) * (event.shiftKey ? 10 : 1);
    const from = cursorAt ?? selection.from;
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: from + step, ArrowLeft: from - step, Home: selection.from, End: selection.to };
    if (event.key === "Escape") moveCursors(null);
    else if (event.key in moves) {
      event.preventDefault();
      moveCursors(Math.min(Math.max(moves[event.key], selection.from), selection.to));
    }
  });
  plot.addEventListener("blur", () => moveCursors(null));
}
