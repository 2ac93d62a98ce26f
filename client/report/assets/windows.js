/**
 * Throughput over time.
 */

import { createChart } from "./charts.js";
import { colour } from "./colours.js";
import { report } from "./data.js";
import { create } from "./dom.js";
import { describeTimeAxis, figure, seconds } from "./figures.js";
import { appendSection } from "./sections.js";
import { createDetails, createTable } from "./table.js";
import { createSwatch, dashOf, seriesColour, textStyle } from "./theme.js";

/** @typedef {Report.WindowRow & {name: string, repeat: number}} Row */

const HEIGHT = 260;
const FEW = 2;

/** Show the frames per second of each window. */
export function showWindows() {
  const rows = report.configurations.filter((each) => each.windows.some((job) => job.windows.length >= FEW));
  if (!rows.length) return;
  const place = appendSection("windows", "Throughput over time");
  const words = rows.map((each) => `${each.name}: ${writeSpread(each)}`).join("; ");
  place.append(
    create(
      "p",
      { class: "small muted" },
      "Frames per second in each window of the timed phase, one line a job; higher is better.",
    ),
    create(
      "div",
      { class: "legend" },
      rows.map((each) => create("span", {}, createSwatch(each.id), `${each.name}: ${writeSpread(each)}`)),
    ),
    createChart(HEIGHT, `Frames per second over time. ${words}`, () => describe(rows)),
    createDetails("Data: windows", () => createWindowTable(rows)),
  );
}

/** @param {Report.Configuration} each */
function writeSpread(each) {
  const rates = each.windows.flatMap((job) => job.windows.map((row) => row.fps));
  return `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))} fps`;
}

/** @param {readonly Report.Configuration[]} configurations */
function createWindowTable(configurations) {
  const rows = configurations.flatMap((each) =>
    each.windows.flatMap((job) => job.windows.map((row) => ({ ...row, name: each.name, repeat: job.repeat + 1 }))),
  );
  /** @type {import("./table.js").Column<Row>[]} */
  const columns = [
    { label: "Configuration", rowHead: true, value: (row) => row.name },
    { label: "job", right: true, value: (row) => row.repeat },
    { label: "from, s", right: true, value: (row) => row.start_s.toFixed(2) },
    { label: "to, s", right: true, value: (row) => row.end_s.toFixed(2) },
    { label: "frames per second", right: true, value: (row) => row.fps, show: (row) => figure(row.fps) },
    { label: "median, ms", right: true, value: (row) => row.p50_ms, show: (row) => figure(row.p50_ms) },
    { label: "longest, ms", right: true, value: (row) => row.max_ms, show: (row) => figure(row.max_ms) },
  ];
  return createTable({ columns, rows, className: "dense" });
}

/**
 * How long the longest job was timed.
 * @param {readonly Report.Configuration[]} rows
 */
function findLongest(rows) {
  return Math.max(
    ...rows.flatMap((each) =>
      each.windows.map((job) => job.windows[job.windows.length - 1].end_s - job.windows[0].start_s),
    ),
  );
}

/**
 * Every job from the beginning of its timed phase.
 * @param {readonly Report.Configuration[]} rows
 */
function describe(rows) {
  const muted = { ...textStyle(11), color: colour("muted") };
  const series = rows.flatMap((each) =>
    each.windows.map((job) => ({
      type: "line",
      name: each.name,
      data: job.windows.map((row) => [row.end_s - job.windows[0].start_s, row.fps]),
      showSymbol: job.windows.length < 3,
      lineStyle: { color: seriesColour(each.id), width: 1.8, type: dashOf(each.id).length ? dashOf(each.id) : "solid" },
      itemStyle: { color: seriesColour(each.id) },
    })),
  );
  return {
    animation: false,
    textStyle: textStyle(),
    grid: { left: 52, right: 16, top: 14, bottom: 30 },
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      backgroundColor: colour("panel"),
      borderColor: colour("strong-line"),
      textStyle: textStyle(11),
      axisPointer: { label: { formatter: (/** @type {{value: number}} */ { value }) => seconds(value) } },
      formatter: (/** @type {echarts.TooltipPoint[]} */ points) =>
        [
          seconds(points[0].axisValue),
          ...points.map((point) => `${figure(point.value[1])} fps  ${point.seriesName}`),
        ].join("\n"),
    },
    xAxis: describeTimeAxis(0, findLongest(rows), muted),
    yAxis: { type: "value", min: 0, axisLabel: muted, splitLine: { lineStyle: { color: colour("line") } } },
    series,
  };
}
