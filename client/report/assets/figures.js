/**
 * Numbers as people read them. Every function gives "n/a" for what is not there.
 */

import { isKnown, roundUp } from "./format.js";

const ABSENT = "n/a";
const STEPS = [1, 2, 2.5, 5, 10];
const TIME_TICKS = 5;
const SPACE = "\u00a0";

/**
 * Write a number with three digits that count.
 * @param {number | null | undefined} value
 */
export function figure(value) {
  if (!isKnown(value)) return ABSENT;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return size >= 10000 ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : value.toFixed(0);
  return value.toPrecision(3);
}

/**
 * Write a duration in the unit that fits it.
 * @param {number | null | undefined} value in milliseconds
 */
export function milliseconds(value) {
  if (!isKnown(value)) return ABSENT;
  if (value >= 1000) return `${figure(value / 1000)}${SPACE}s`;
  return value >= 0.1 ? `${figure(value)}${SPACE}ms` : `${figure(value * 1000)}${SPACE}µs`;
}

/**
 * Write a moment of a run.
 * @param {number} value in seconds
 */
export function seconds(value) {
  if (value >= 7200) return `${figure(value / 3600)} h`;
  if (value >= 600) return `${figure(value / 60)} min`;
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} s`;
}

/**
 * Describe an axis of time for ECharts: round moments, all in the unit that fits its end.
 * @param {number} from
 * @param {number} to
 * @param {echarts.Option} style of its labels
 */
export function describeTimeAxis(from, to, style) {
  const [unit, size] = /** @type {[string, number]} */ (to >= 7200 ? ["h", 3600] : to >= 600 ? ["min", 60] : ["s", 1]);
  const step = niceStep((to - from) / size / TIME_TICKS);
  const first = Math.ceil(from / size / step - 1e-9);
  const last = Math.floor(to / size / step + 1e-9);
  const customValues = Array.from({ length: last - first + 1 }, (_, n) => (first + n) * step * size);
  const formatter = (/** @type {number} */ value) => `${tick(value / size)} ${unit}`;
  return {
    type: "value",
    min: from,
    max: to,
    axisTick: { customValues },
    axisLabel: { ...style, customValues, formatter, hideOverlap: true },
    splitLine: { show: false },
  };
}

/**
 * Find the next larger step that people count in.
 * @param {number} raw
 */
export function niceStep(raw) {
  return roundUp(raw, STEPS);
}

/**
 * Write a number at an axis.
 * @param {number} value
 */
export function tick(value) {
  return String(Number(value.toPrecision(4)));
}

/**
 * Write a number with its unit; an empty one is none.
 * @param {number | null | undefined} value
 * @param {string} unit
 */
export function withUnit(value, unit) {
  return !isKnown(value) ? ABSENT : unit ? `${figure(value)}${SPACE}${unit}` : figure(value);
}

/**
 * Write how many times something is: two digits that count.
 * @param {number} value
 */
export function factor(value) {
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

/**
 * Write a share in percent.
 * @param {number | null | undefined} share
 */
export function percent(share) {
  return !isKnown(share) ? ABSENT : `${(100 * share).toFixed(1)}${SPACE}%`;
}
