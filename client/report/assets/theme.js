/**
 * How series look, and when that changes.
 */

import { colour, onSchemeChange } from "./colours.js";

const SVG = "http://www.w3.org/2000/svg";
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const SERIES_COLOURS = 6;

/**
 * Find the colour of a series.
 * @param {number} look
 */
export function seriesColour(look) {
  return colour(`series-${look % SERIES_COLOURS}`);
}

/**
 * The dash pattern that goes with a colour, so that lines differ without colour too; [] is solid.
 * @param {number} look
 */
export function dashOf(look) {
  return DASHES[look % DASHES.length];
}

/**
 * Describe text as ECharts shall write it.
 * @param {number} [size]
 */
export function textStyle(size = 12) {
  return { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: size, color: colour("ink") };
}

/**
 * Create a short piece of a series' line for legends, hidden from screen readers: the name stands beside it.
 * @param {number} look
 * @param {{dashed?: boolean}} [how]
 */
export function createSwatch(look, { dashed = true } = {}) {
  const line = createSvg("line", { x1: 1, x2: 21, y1: 6, y2: 6, "stroke-width": dashed ? 3 : 12 });
  line.style.stroke = `var(--series-${look % SERIES_COLOURS})`;
  if (dashed) line.style.strokeDasharray = dashOf(look).join(" ");
  return createSvg("svg", { class: "swatch", viewBox: "0 0 22 12", "aria-hidden": "true" }, line);
}

/**
 * Create an element of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
function createSvg(tag, attributes, ...children) {
  const created = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, String(value));
  created.append(...children);
  return created;
}

/** @type {(() => void)[]} */
const listeners = [];

/**
 * Call a listener whenever colours change: in the dark, and on paper.
 * @param {() => void} listener
 */
export function onThemeChange(listener) {
  listeners.push(listener);
}

/** Tell all listeners. */
function tellListeners() {
  for (const listener of listeners) listener();
}

onSchemeChange(tellListeners);
// Paper is white, also for readers in the dark.
addEventListener("beforeprint", () => {
  document.documentElement.dataset.printing = "yes";
  tellListeners();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.printing;
  tellListeners();
});
