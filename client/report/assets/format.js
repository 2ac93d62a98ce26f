// Numbers as people read them. Every function gives "n/a" for what is not there.
const ABSENT = "n/a";
const TIME_TICKS = 5;
const LABEL_ROOM = 0.7;
const SPACE = "\u00a0";

// Three digits that count.
export function figure(value) {
  if (value === null || value === undefined) return ABSENT;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return size >= 10000 ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : value.toFixed(0);
  return value.toPrecision(3);
}

export function milliseconds(value) {
  if (value === null || value === undefined) return ABSENT;
  if (value >= 1000) return `${figure(value / 1000)}${SPACE}s`;
  return value >= 0.1 ? `${figure(value)}${SPACE}ms` : `${figure(value * 1000)}${SPACE}µs`;
}

// A moment of a run.
export function seconds(value) {
  if (value >= 7200) return `${figure(value / 3600)} h`;
  if (value >= 600) return `${figure(value / 60)} min`;
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} s`;
}

// The same beside an axis: all in the unit that fits its end, without needless digits.
export function timeAxis(from, to) {
  const [unit, size] = to >= 7200 ? ["h", 3600] : to >= 600 ? ["min", 60] : ["s", 1];
  const label = (value) => `${tick(value / size)} ${unit}`;
  const interval = niceStep((to - from) / size / TIME_TICKS) * size;
  return { min: from, max: to, interval, label, showMin: roomBefore(-from / interval), showMax: roomBefore(to / interval) };
}

// Whether the end of an axis, in steps, is a round one or far enough from the last of these to be labelled too.
function roomBefore(steps) {
  const beyond = steps - Math.floor(steps + 1e-6);
  return Math.abs(beyond) < 1e-6 || beyond > LABEL_ROOM;
}

// The next larger step that people count in.
export function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= raw) ?? raw;
}

export function tick(value) {
  return String(Number(value.toPrecision(4)));
}

export function withUnit(value, unit) {
  return value === null || value === undefined ? ABSENT : unit ? `${figure(value)}${SPACE}${unit}` : figure(value);
}

// How many times: two digits that count.
export function factor(value) {
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

export function percent(share) {
  return share === null || share === undefined ? ABSENT : `${(100 * share).toFixed(1)}${SPACE}%`;
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
