// Numbers as people read them. What is missing is a dash, never a zero.

export const DASH = "\u2013";

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export function fixed(value, digits, unit = "") {
  return known(value) ? `${value.toFixed(digits)}${unit && ` ${unit}`}` : DASH;
}

// So many significant digits, without an exponent.
export function significant(value, digits = 3) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  if (Math.abs(value) >= 10 ** digits) return Math.round(value).toLocaleString("en");
  const before = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.max(0, Math.min(4, digits - before)));
}

export const milliseconds = (value) => (known(value) ? `${significant(value)} ms` : DASH);
export const perSecond = (value) => (known(value) ? `${significant(value)} per s` : DASH);
export const percent = (ratio, digits = 0) => fixed(known(ratio) ? 100 * ratio : null, digits, "%");
export const celsius = (value) => fixed(value, 0, "\u00b0C");
export const watts = (value) => (known(value) ? `${significant(value)} W` : DASH);

export const bytes = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
export const hertz = (value) => scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"]);
export const bytesPerSecond = (value) => (known(value) ? `${bytes(value)}/s` : DASH);

function scaled(value, base, units) {
  if (!known(value)) return DASH;
  let power = 0;
  while (Math.abs(value) >= base && power < units.length - 1) {
    value /= base;
    power += 1;
  }
  return `${power === 0 ? value.toFixed(0) : significant(value)} ${units[power]}`;
}

export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 10) return `${significant(seconds, 2)} s`;
  if (seconds < 100) return `${seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

export function ago(time, now) {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 5) return "just now";
  return seconds < 10 ? `${Math.floor(seconds)} s ago` : `${duration(seconds)} ago`;
}

export const clock = (time) => new Date(time).toLocaleTimeString();
export const moment = (time) => new Date(time).toLocaleString();
