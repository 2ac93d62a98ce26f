/**
 * Numbers as people read them. What is missing is a dash, never a zero.
 */

import { isKnown } from "./format.js";

const DASH = "\u2013";

/**
 * @param {number | null | undefined} value
 * @returns {value is number}
 */
function known(value) {
  return isKnown(value) && !Number.isNaN(value);
}

/**
 * @param {number | null | undefined} value
 * @param {number} digits behind the point
 * @param {string} [unit]
 */
export function fixed(value, digits, unit = "") {
  return known(value) ? `${value.toFixed(digits)}${unit && ` ${unit}`}` : DASH;
}

/**
 * Write so many significant digits, without an exponent.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function significant(value, digits = 3) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  if (Math.abs(value) >= 10 ** digits) return Math.round(value).toLocaleString("en");
  const before = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.max(0, Math.min(4, digits - before)));
}

/** @param {number | null | undefined} value */
export const milliseconds = (value) => (known(value) ? `${significant(value)} ms` : DASH);
/** @param {number | null | undefined} value */
export const perSecond = (value) => (known(value) ? `${significant(value)} per s` : DASH);
/**
 * @param {number | null | undefined} ratio
 * @param {number} [digits]
 */
export const percent = (ratio, digits = 0) => fixed(known(ratio) ? 100 * ratio : null, digits, "%");
/** @param {number | null | undefined} value */
export const celsius = (value) => fixed(value, 0, "\u00b0C");
/** @param {number | null | undefined} value */
export const watts = (value) => (known(value) ? `${significant(value)} W` : DASH);

/** @param {number | null | undefined} value */
export const bytes = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
/** @param {number | null | undefined} value */
export const hertz = (value) => scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"]);
/** @param {number | null | undefined} value */
export const bytesPerSecond = (value) => (known(value) ? `${bytes(value)}/s` : DASH);

/**
 * @param {number | null | undefined} value
 * @param {number} base
 * @param {readonly string[]} units each so many times the one before
 */
function scaled(value, base, units) {
  if (!known(value)) return DASH;
  let shown = value;
  let power = 0;
  while (Math.abs(shown) >= base && power < units.length - 1) {
    shown /= base;
    power += 1;
  }
  return `${power === 0 ? shown.toFixed(0) : significant(shown)} ${units[power]}`;
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 10) return `${significant(seconds, 2)} s`;
  if (seconds < 100) return `${seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

/**
 * Say how long ago a time was.
 * @param {number} time in milliseconds, as `now`
 * @param {number} now
 */
export function ago(time, now) {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 5) return "just now";
  return seconds < 10 ? `${Math.floor(seconds)} s ago` : `${duration(seconds)} ago`;
}

/** @param {string | number} time */
export const moment = (time) => new Date(time).toLocaleString();
