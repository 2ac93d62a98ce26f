/**
 * What is shown of the telemetry, and how each is read and scaled. Pure: no elements here.
 */

import { niceBytes, niceCeiling } from "./chart.js";
import { isKnown } from "./format.js";
import { bytes, bytesPerSecond, celsius, hertz, percent, watts } from "./readings.js";

/** @typedef {import("./chart.js").Axis} Axis */
/** @typedef {import("./past.js").Past} Past */
/** @typedef {import("./past.js").ValueAt} ValueAt */

/** @typedef {(value: number | null) => string} Text */

/**
 * What gives a value for each line of a panel; nothing where it is not measured.
 * @typedef {(past: Past) => ValueAt[]} Lines
 */

/** @typedef {(past: Past, seen: number) => Axis} AxisOf */

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {readonly string[]} metrics that it is made of; the first says why it is missing
 * @property {readonly string[]} [names] of its lines, where it has several
 * @property {boolean} [always] whether it is there when nothing is measured
 * @property {Lines} lines
 * @property {Text} text
 * @property {AxisOf} axis fixed by what is measured, not by what was seen
 * @property {(past: Past) => number | null} [trip] the value at which the hardware is slowed down
 * @property {(past: Past) => string} [note]
 */

const COOLEST_CELSIUS = 20;
const HOTTEST_CELSIUS = 100;
const ROOM_CELSIUS = 10; // above the trip point, so that its line is not the frame

/**
 * @param {string} metric
 * @returns {Lines}
 */
const gauge = (metric) => (past) => {
  const keys = past.keys(metric).filter((key) => isKnown(past.value(key)));
  return keys.length ? [(index) => past.value(keys[0], index)] : [];
};

/**
 * Show the highest of all series: of several cores or devices the busiest tells.
 * @param {string} metric
 * @returns {Lines}
 */
const highest = (metric) => (past) => {
  const keys = past.keys(metric).filter((key) => isKnown(past.value(key)));
  return keys.length ? [(index) => Math.max(...keys.map((key) => past.value(key, index) ?? 0))] : [];
};

/**
 * @param {...string} metrics
 * @returns {Lines}
 */
const rates =
  (...metrics) =>
  (past) => {
    const keys = metrics.map((metric) => past.keys(metric)[0]).filter((key) => key && isKnown(past.value(key)));
    return keys.length === metrics.length ? keys.map((key) => (index) => past.rate(key, index)) : [];
  };

/** @returns {Axis} */
const share = () => ({
  min: 0,
  max: 1,
  interval: 0.5,
  text: (value) => percent(value),
  exact: (value) => percent(value, 1),
});

/**
 * @param {Past} past
 * @returns {Axis}
 */
function temperature(past) {
  const trip = past.value("cpu_temperature_trip_celsius");
  const max = Math.max(HOTTEST_CELSIUS, Math.ceil(((trip ?? 0) + ROOM_CELSIUS) / 20) * 20);
  return {
    min: COOLEST_CELSIUS,
    max,
    interval: (max - COOLEST_CELSIUS) / 2,
    text: celsius,
    exact: (value) => `${value.toFixed(1)} \u00b0C`,
  };
}

/**
 * @param {string} total the metric that says how much there is
 * @param {Text} text
 * @returns {AxisOf}
 */
const upTo = (total, text) => (past, seen) => {
  const max = past.value(past.keys(total)[0]) ?? niceCeiling(seen);
  return { min: 0, max, interval: max / 2, text, exact: text };
};

/**
 * @param {Text} text
 * @param {(seen: number) => number} [ceiling]
 * @returns {AxisOf}
 */
const growing =
  (text, ceiling = niceCeiling) =>
  (_, seen) => {
    const max = ceiling(seen);
    return { min: 0, max, interval: max / 2, text, exact: text };
  };

/**
 * The first five are always there, with the reason where the device does not measure them.
 * @type {readonly Panel[]}
 */
export const PANELS = [
  {
    title: "CPU temperature",
    metrics: ["cpu_temperature_celsius"],
    always: true,
    lines: gauge("cpu_temperature_celsius"),
    text: celsius,
    axis: temperature,
    trip: (past) => past.value("cpu_temperature_trip_celsius"),
  },
  {
    title: "CPU utilization",
    metrics: ["cpu_utilization_ratio"],
    always: true,
    lines: gauge("cpu_utilization_ratio"),
    text: percent,
    axis: share,
  },
  {
    title: "Memory used",
    metrics: ["memory_used_bytes"],
    always: true,
    lines: gauge("memory_used_bytes"),
    text: bytes,
    axis: upTo("memory_total_bytes", bytes),
    note: (past) => `of ${bytes(past.value("memory_total_bytes"))}`,
  },
  {
    title: "Disk busy",
    metrics: ["disk_io_time_seconds_total"],
    always: true,
    lines: rates("disk_io_time_seconds_total"),
    text: (value) => percent(Math.min(1, value ?? NaN), 1),
    axis: share,
  },
  {
    title: "GPU temperature",
    metrics: ["gpu_temperature_celsius"],
    always: true,
    lines: highest("gpu_temperature_celsius"),
    text: celsius,
    axis: temperature,
  },
  {
    title: "GPU utilization",
    metrics: ["gpu_utilization_ratio"],
    lines: highest("gpu_utilization_ratio"),
    text: percent,
    axis: share,
  },
  {
    title: "GPU memory used",
    metrics: ["gpu_memory_used_bytes"],
    lines: highest("gpu_memory_used_bytes"),
    text: bytes,
    axis: upTo("gpu_memory_total_bytes", bytes),
  },
  {
    title: "CPU clock",
    metrics: ["cpu_frequency_hertz"],
    lines: highest("cpu_frequency_hertz"),
    text: hertz,
    axis: growing(hertz),
  },
  {
    title: "Power",
    metrics: ["power_total_watts"],
    lines: gauge("power_total_watts"),
    text: watts,
    axis: growing(watts),
  },
  {
    title: "Network",
    metrics: ["network_received_bytes_total", "network_transmitted_bytes_total"],
    names: ["in", "out"],
    lines: rates("network_received_bytes_total", "network_transmitted_bytes_total"),
    text: bytesPerSecond,
    axis: growing(bytesPerSecond, (seen) => niceBytes(Math.max(1024, seen))),
  },
];
