import { svg } from "./dom.js";

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const SERIES_COLOURS = 6;

// A colour of the style sheet, as it is now: dark mode and print change it.
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function seriesColour(look) {
  return colour(`series-${look % SERIES_COLOURS}`);
}

// The dash pattern that goes with a colour, so that lines differ without colour too; [] is solid.
export function dashOf(look) {
  return DASHES[look % DASHES.length];
}

export function textStyle(size = 12) {
  return { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: size, color: colour("ink") };
}

// A short piece of a series' line for legends, hidden from screen readers: the name stands beside it.
export function swatch(look, { dashed = true } = {}) {
  const line = svg("line", { x1: 1, x2: 21, y1: 6, y2: 6, "stroke-width": dashed ? 3 : 12 });
  line.style.stroke = `var(--series-${look % SERIES_COLOURS})`;
  if (dashed) line.style.strokeDasharray = dashOf(look).join(" ");
  return svg("svg", { class: "swatch", viewBox: "0 0 22 12", "aria-hidden": "true" }, line);
}

const listeners = [];

export function onThemeChange(listener) {
  listeners.push(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
// Paper is white, also for readers in the dark.
addEventListener("beforeprint", () => {
  document.documentElement.dataset.printing = "yes";
  changed();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.printing;
  changed();
});
