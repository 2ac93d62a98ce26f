/**
 * What is shown of the hardware.
 */

import { report } from "./data.js";

const FIRST_RUNS = 4;
const FIRST_COMPONENTS = 3;

/** How long the longest recording is, in seconds. */
export const longest = Math.max(0, ...report.recordings.map((each) => each.end_s));

/**
 * What is shown of the hardware: kept in the address, so that a view can be sent to somebody.
 * @type {{recordings: Set<number>, components: Set<string>, view: "side" | "over", from: number, to: number}}
 */
export const selection = {
  recordings: new Set(),
  components: new Set(),
  view: "side",
  from: 0,
  to: longest,
};

/**
 * Whether any recording has values of a component.
 * @param {Report.Component} component
 */
export function isMeasured(component) {
  return report.recordings.some((each) => component.key in each.channels);
}

/** Choose what is shown before anybody chose. */
function chooseDefaults() {
  const firsts = report.recordings.filter((each) => each.repeat === 0);
  selection.recordings = new Set(firsts.slice(0, FIRST_RUNS).map((each) => each.id));
  const measured = report.components.filter(isMeasured);
  selection.components = new Set(measured.slice(0, FIRST_COMPONENTS).map((each) => each.key));
  selection.view = "side";
  selection.from = 0;
  selection.to = longest;
}

/** Choose what the address says; indices, since names may hold anything. */
export function restore() {
  chooseDefaults();
  const said = new URLSearchParams(location.hash.slice(1));
  /** @param {string} name */
  const numbers = (name) => (said.get(name) ?? "").split(".").filter(Boolean).map(Number);
  if (said.has("runs")) selection.recordings = new Set(numbers("runs").filter((id) => id in report.recordings));
  if (said.has("rows")) selection.components = new Set(numbers("rows").flatMap((n) => report.components[n]?.key ?? []));
  if (said.get("view") === "over") selection.view = "over";
  setRange(Number(said.get("from") ?? 0), Number(said.get("to") ?? longest));
}

/** Keep what is chosen in the address. */
export function remember() {
  const rows = report.components.flatMap((each, n) => (selection.components.has(each.key) ? [n] : []));
  const said = new URLSearchParams({
    runs: [...selection.recordings].sort((a, b) => a - b).join("."),
    rows: rows.join("."),
    view: selection.view,
    from: String(selection.from),
    to: String(selection.to),
  });
  if (location.protocol !== "about:") history.replaceState(null, "", `#${said}`);
}

/**
 * Choose a part of the run in seconds, kept within it and at least a thousandth of it long.
 * @param {number} from
 * @param {number} to
 */
export function setRange(from, to) {
  const least = longest / 1000;
  const low = Number.isFinite(from) ? Math.max(0, Math.min(from, longest - least)) : 0;
  const high = Number.isFinite(to) ? Math.min(longest, Math.max(to, low + least)) : longest;
  selection.from = Number(low.toFixed(2));
  selection.to = Number(high.toFixed(2));
}

/** The recordings that are shown. */
export function chosenRecordings() {
  return report.recordings.filter((each) => selection.recordings.has(each.id));
}

/** The components that are shown. */
export function chosenComponents() {
  return report.components.filter((each) => selection.components.has(each.key));
}
