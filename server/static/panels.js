// What is shown of the telemetry, and how each is read and scaled. Pure: no elements here.
//
// A panel has a title, `metrics` it is made of (the first says why it is missing), and `lines(past)`: functions that
// give the value at the index of a sample. `axis(past, highest)` is fixed by what is measured, not by what was seen.

import { niceBytes, niceCeiling } from "./chart.js";
import { known } from "./past.js";
import { bytes, bytesPerSecond, celsius, hertz, percent, watts } from "./readings.js";

const COOLEST_CELSIUS = 20;
const HOTTEST_CELSIUS = 100;
const ROOM_CELSIUS = 10; // above the trip point, so that its line is not the frame

const gauge = (metric) => (past) => {
  const keys = past.keys(metric).filter((key) => known(past.value(key)));
  return keys.length ? [(index) => past.value(keys[0], index)] : [];
};

// The highest of all series: of several cores or devices the busiest tells.
const highest = (metric) => (past) => {
  const keys = past.keys(metric).filter((key) => known(past.value(key)));
  return keys.length ? [(index) => Math.max(...keys.map((key) => past.value(key, index) ?? 0))] : [];
};

const rates =
  (...metrics) =>
  (past) => {
    const keys = metrics.map((metric) => past.keys(metric)[0]).filter((key) => key && known(past.value(key)));
    return keys.length === metrics.length ? keys.map((key) => (index) => past.rate(key, index)) : [];
  };

const share = () => ({
  min: 0,
  max: 1,
  interval: 0.5,
  text: (value) => percent(value),
  exact: (value) => percent(value, 1),
});

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

const upTo = (total, text) => (past, seen) => {
  const max = past.value(past.keys(total)[0]) ?? niceCeiling(seen);
  return { min: 0, max, interval: max / 2, text, exact: text };
};

const growing =
  (text, ceiling = niceCeiling) =>
  (past, seen) => {
    const max = ceiling(seen);
    return { min: 0, max, interval: max / 2, text, exact: text };
  };

// The first five are always there, with the reason where the device does not measure them.
export const PANELS = [
  {
    title: "Processor temperature",
    metrics: ["cpu_temperature_celsius"],
    always: true,
    lines: gauge("cpu_temperature_celsius"),
    text: celsius,
    axis: temperature,
    trip: (past) => past.value("cpu_temperature_trip_celsius"),
  },
  {
    title: "Processor utilization",
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
    title: "Processor clock",
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
