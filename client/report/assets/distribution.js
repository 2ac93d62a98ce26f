import { chart, discard } from "./charts.js";
import { report } from "./data.js";
import { h, section } from "./dom.js";
import { milliseconds, percent } from "./format.js";
import { who } from "./result.js";
import { behind, table } from "./table.js";
import { colour, seriesColour, textStyle } from "./theme.js";

const HEIGHT = 130;
const LOG_FROM = 12;
const LABELS_APART = 0.25;

export function showDistribution() {
  const rows = report.configurations.filter((each) => each.histogram);
  if (!rows.length) return;
  const place = section("distribution", "How latencies are spread");
  const panels = h("div", { class: "panels" });
  const draw = (common) => {
    discard(panels);
    panels.replaceChildren(...rows.map((each) => panel(each, common ? range(rows) : null)));
  };
  if (rows.length > 1) place.append(scaleChoice(draw));
  place.append(panels);
  draw(false);
}

function scaleChoice(draw) {
  const choice = (value, words, checked) =>
    h(
      "label",
      { class: "chip" },
      h("input", { type: "radio", name: "distribution-scale", value, checked, onchange: () => draw(value === "common") }),
      words,
    );
  const chips = h("div", { class: "chips" }, choice("own", "Each its own", true), choice("common", "The same for all", false));
  return h("div", { class: "controls" }, h("fieldset", {}, h("legend", {}, "Scale"), chips));
}

function range(rows) {
  const low = Math.min(...rows.map((each) => each.histogram.edges_ms[0]));
  const high = Math.max(...rows.map((each) => each.histogram.edges_ms.at(-1)));
  return { low, high, log: high / Math.max(low, 1e-9) > LOG_FROM };
}

function panel(each, common) {
  const { figures, histogram } = each;
  const tail = figures.p99_ms === null ? "" : `, p99 ${milliseconds(figures.p99_ms)}`;
  const words = `median ${milliseconds(figures.p50_ms)}${tail}, longest ${milliseconds(figures.max_ms)}`;
  const scatter = histogram.scatter === null ? "" : `; scatter (CV) ${percent(histogram.scatter)}`;
  const label = `Distribution of ${histogram.samples} latencies of ${each.name}: ${words}`;
  return h(
    "figure",
    {},
    who(each.id, each.title, each.subtitle),
    h("div", { class: "small muted" }, words + scatter),
    chart(HEIGHT, label, () => option(each, common ?? { low: histogram.edges_ms[0], high: histogram.edges_ms.at(-1), log: false })),
    behind("Data", () => binTable(each)),
  );
}

function binTable({ histogram, name }) {
  const rows = histogram.counts.map((count, n) => ({ from: histogram.edges_ms[n], to: histogram.edges_ms[n + 1], count }));
  if (histogram.beyond) rows.push({ from: histogram.edges_ms.at(-1), to: null, count: histogram.beyond });
  const columns = [
    { label: "from", rowHead: true, value: (row) => milliseconds(row.from) },
    { label: "to", value: (row) => (row.to === null ? "longest" : milliseconds(row.to)) },
    { label: "inferences", right: true, value: (row) => row.count },
  ];
  return table({ caption: name, columns, rows: rows.filter((row) => row.count), className: "dense" });
}

function option(each, scale) {
  const { edges_ms: edges, counts } = each.histogram;
  const most = Math.max(...counts);
  const fill = seriesColour(each.id);
  const muted = { ...textStyle(11), color: colour("muted") };
  return {
    animation: false,
    textStyle: textStyle(),
    grid: { left: 18, right: 22, top: 16, bottom: 24 },
    xAxis: {
      type: scale.log ? "log" : "value",
      min: scale.low,
      max: scale.high,
      splitNumber: 3,
      axisLabel: { ...muted, formatter: milliseconds, hideOverlap: true },
      axisLine: { show: true, lineStyle: { color: colour("strong-line") } },
      splitLine: { show: false },
    },
    yAxis: { type: "value", show: false, min: 0, max: most * 1.05 },
    series: [
      {
        type: "custom",
        silent: true,
        clip: true,
        data: counts.map((count, n) => [edges[n], edges[n + 1], count]).filter((row) => row[2] > 0),
        encode: { x: [0, 1], y: 2 },
        renderItem: (_, api) => {
          const [x0, y] = api.coord([api.value(0), api.value(2)]);
          const [x1, bottom] = api.coord([api.value(1), 0]);
          return { type: "rect", shape: { x: x0, y, width: Math.max(x1 - x0, 1), height: bottom - y }, style: { fill } };
        },
      },
      marks(each, muted, scale),
    ],
  };
}

// The median and, where its label has room, p95 as lines.
function marks({ figures }, muted, scale) {
  const lines = [{ xAxis: figures.p50_ms, name: "median" }];
  const apart = figures.p95_ms !== null && figures.p95_ms - figures.p50_ms > (scale.high - scale.low) * LABELS_APART;
  if (apart) lines.push({ xAxis: figures.p95_ms, name: "p95" });
  return {
    type: "line",
    data: [],
    silent: true,
    markLine: {
      symbol: "none",
      data: lines,
      label: { ...muted, formatter: "{b}", distance: 2 },
      lineStyle: { color: colour("ink"), type: "dashed", width: 1 },
      animation: false,
    },
  };
}
