// Numbers as people read them. Every function gives "n/a" for what is not there.
const ABSENT = "n/a";
const TIME_TICKS = 5;
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

// An axis of time for ECharts: round moments, all in the unit that fits its end.
export function timeAxis(from, to, style) {
  const [unit, size] = to >= 7200 ? ["h", 3600] : to >= 600 ? ["min", 60] : ["s", 1];
  const step = niceStep((to - from) / size / TIME_TICKS);
  const first = Math.ceil(from / size / step - 1e-9);
  const last = Math.floor(to / size / step + 1e-9);
  const customValues = Array.from({ length: last - first + 1 }, (_, n) => (first + n) * step * size);
  const formatter = (value) => `${tick(value / size)} ${unit}`;
  return {
    type: "value",
    min: from,
    max: to,
    axisTick: { customValues },
    axisLabel: { ...style, customValues, formatter, hideOverlap: true },
    splitLine: { show: false },
  };
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
