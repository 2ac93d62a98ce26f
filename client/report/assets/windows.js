/**
 * Throughput over time.
 */

import { chart } from "./charts.js";
import { colour } from "./colours.js";
import { report } from "./data.js";
import { create } from "./dom.js";
import { figure, seconds, timeAxis } from "./figures.js";
import { appendSection } from "./sections.js";
import { behind, table } from "./table.js";
import { dashOf, seriesColour, swatch, textStyle } from "./theme.js";

/** @typedef {Report.WindowRow & {name: string, repeat: number}} Row */

const HEIGHT = 260;
const FEW = 2;

/** Show the frames per second of each window. */
export function showWindows() {
  const rows = report.configurations.filter((each) => each.windows.some((job) => job.windows.length >= FEW));
  if (!rows.length) return;
  const place = appendSection("windows", "Throughput over time");
  const words = rows.map((each) => `${each.name}: ${spread(each)}`).join("; ");
  place.append(
    create(
      "p",
      { class: "small muted" },
      "Frames per second in each window of the timed phase, one line a job; higher is better.",
    ),
    create(
      "div",
      { class: "legend" },
      rows.map((each) => create("span", {}, swatch(each.id), `${each.name}: ${spread(each)}`)),
    ),
    chart(HEIGHT, `Frames per second over time. ${words}`, () => option(rows)),
    behind("Data: windows", () => windowTable(rows)),
  );
}

/** @param {Report.Configuration} each */
function spread(each) {
  const rates = each.windows.flatMap((job) => job.windows.map((row) => row.fps));
  return `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))} fps`;
}

/** @param {readonly Report.Configuration[]} configurations */
function windowTable(configurations) {
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
  return table({ columns, rows, className: "dense" });
}

/**
 * How long the longest job was timed.
 * @param {readonly Report.Configuration[]} rows
 */
function longest(rows) {
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
function option(rows) {
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
    xAxis: timeAxis(0, longest(rows), muted),
    yAxis: { type: "value", min: 0, axisLabel: muted, splitLine: { lineStyle: { color: colour("line") } } },
    series,
  };
}
