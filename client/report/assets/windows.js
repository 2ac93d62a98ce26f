import { chart } from "./charts.js";
import { report } from "./data.js";
import { h, section } from "./dom.js";
import { figure, seconds, timeAxis } from "./format.js";
import { behind, table } from "./table.js";
import { colour, dashOf, seriesColour, swatch, textStyle } from "./theme.js";

const HEIGHT = 260;
const FEW = 2;

export function showWindows() {
  const rows = report.configurations.filter((each) => each.windows.some((job) => job.windows.length >= FEW));
  if (!rows.length) return;
  const place = section("windows", "Throughput over time");
  const words = rows.map((each) => `${each.name}: ${spread(each)}`).join("; ");
  place.append(
    h("p", { class: "small muted" }, "Frames per second in each window of the timed phase, one line a job; higher is better."),
    h("div", { class: "legend" }, rows.map((each) => h("span", {}, swatch(each.id), `${each.name}: ${spread(each)}`))),
    chart(HEIGHT, `Frames per second over time. ${words}`, () => option(rows)),
    behind("Data: windows", () => windowTable(rows)),
  );
}

function spread(each) {
  const rates = each.windows.flatMap((job) => job.windows.map((row) => row.fps));
  return `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))} fps`;
}

function windowTable(configurations) {
  const rows = configurations.flatMap((each) =>
    each.windows.flatMap((job) => job.windows.map((row) => ({ ...row, name: each.name, repeat: job.repeat + 1 }))),
  );
  const columns = [
    { label: "Configuration", rowHead: true, value: (row) => row.name },
    { label: "job", right: true, value: (row) => row.repeat },
    { label: "from, s", right: true, value: (row) => row.start_s.toFixed(2) },
    { label: "to, s", right: true, value: (row) => row.end_s.toFixed(2) },
    { label: "frames per second", right: true, value: (row) => row.fps, show: figure },
    { label: "median, ms", right: true, value: (row) => row.p50_ms, show: figure },
    { label: "longest, ms", right: true, value: (row) => row.max_ms, show: figure },
  ];
  return table({ columns, rows, className: "dense" });
}

function longest(rows) {
  return Math.max(...rows.flatMap((each) => each.windows.map((job) => job.windows.at(-1).end_s - job.windows[0].start_s)));
}

// Every job from the beginning of its timed phase.
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
      axisPointer: { label: { formatter: ({ value }) => seconds(value) } },
      formatter: (points) => [seconds(points[0].axisValue), ...points.map((point) => `${figure(point.value[1])} fps  ${point.seriesName}`)].join("\n"),
    },
    xAxis: timeAxis(0, longest(rows), muted),
    yAxis: { type: "value", min: 0, axisLabel: muted, splitLine: { lineStyle: { color: colour("line") } } },
    series,
  };
}
