/**
 * How latencies are spread.
 */

import { createChart, discard } from "./charts.js";
import { colour } from "./colours.js";
import { report } from "./data.js";
import { create } from "./dom.js";
import { milliseconds, percent } from "./figures.js";
import { createNames } from "./result.js";
import { appendSection } from "./sections.js";
import { createDetails, createTable } from "./table.js";
import { seriesColour, textStyle } from "./theme.js";

/** @typedef {Report.Configuration & {histogram: Report.Histogram}} Measured */

/** @typedef {{low: number, high: number, log: boolean}} Scale */

/** @typedef {{from: number, to: number | null, count: number}} Bin */

const HEIGHT = 130;
const LOG_FROM = 12;
const LABELS_APART = 0.25;

/** Show how the latencies of each configuration are spread. */
export function showDistribution() {
  const rows = report.configurations.filter(isMeasured);
  if (!rows.length) return;
  const place = appendSection("distribution", "How latencies are spread");
  const panels = create("div", { class: "panels" });
  /** @param {boolean} common whether all have the same scale */
  const draw = (common) => {
    discard(panels);
    panels.replaceChildren(...rows.map((each) => createPanel(each, common ? findCommonScale(rows) : null)));
  };
  if (rows.length > 1) place.append(createScaleChoice(draw));
  place.append(panels);
  draw(false);
}

/**
 * @param {Report.Configuration} each
 * @returns {each is Measured}
 */
function isMeasured(each) {
  return each.histogram !== null;
}

/** @param {readonly number[]} values */
function last(values) {
  return values[values.length - 1];
}

/** @param {(common: boolean) => void} draw */
function createScaleChoice(draw) {
  /**
   * @param {string} value
   * @param {string} words
   * @param {boolean} checked
   */
  const createChoice = (value, words, checked) =>
    create(
      "label",
      { class: "chip" },
      create("input", {
        type: "radio",
        name: "distribution-scale",
        value,
        checked,
        onchange: () => draw(value === "common"),
      }),
      words,
    );
  const chips = create(
    "div",
    { class: "chips" },
    createChoice("own", "Each its own", true),
    createChoice("common", "The same for all", false),
  );
  return create("div", { class: "controls" }, create("fieldset", {}, create("legend", {}, "Scale"), chips));
}

/**
 * The scale that fits all.
 * @param {readonly Measured[]} rows
 * @returns {Scale}
 */
function findCommonScale(rows) {
  const low = Math.min(...rows.map((each) => each.histogram.edges_ms[0]));
  const high = Math.max(...rows.map((each) => last(each.histogram.edges_ms)));
  return { low, high, log: high / Math.max(low, 1e-9) > LOG_FROM };
}

/**
 * @param {Measured} each
 * @param {Scale | null} common
 */
function createPanel(each, common) {
  const { figures, histogram } = each;
  const tail = figures.p99_ms === null ? "" : `, p99 ${milliseconds(figures.p99_ms)}`;
  const words = `median ${milliseconds(figures.p50_ms)}${tail}, longest ${milliseconds(figures.max_ms)}`;
  const scatter = histogram.scatter === null ? "" : `; scatter (CV) ${percent(histogram.scatter)}`;
  const label = `Distribution of ${histogram.samples} latencies of ${each.name}: ${words}`;
  return create(
    "figure",
    {},
    createNames(each.id, each.title, each.subtitle),
    create("div", { class: "small muted" }, words + scatter),
    createChart(HEIGHT, label, () =>
      describe(each, common ?? { low: histogram.edges_ms[0], high: last(histogram.edges_ms), log: false }),
    ),
    createDetails("Data", () => createBinTable(each)),
  );
}

/** @param {Measured} each */
function createBinTable({ histogram, name }) {
  /** @type {Bin[]} */
  const rows = histogram.counts.map((count, n) => ({
    from: histogram.edges_ms[n],
    to: histogram.edges_ms[n + 1],
    count,
  }));
  if (histogram.beyond) rows.push({ from: last(histogram.edges_ms), to: null, count: histogram.beyond });
  /** @type {import("./table.js").Column<Bin>[]} */
  const columns = [
    { label: "from", rowHead: true, value: (row) => milliseconds(row.from) },
    { label: "to", value: (row) => (row.to === null ? "longest" : milliseconds(row.to)) },
    { label: "inferences", right: true, value: (row) => row.count },
  ];
  return createTable({ caption: name, columns, rows: rows.filter((row) => row.count), className: "dense" });
}

/**
 * @param {Measured} each
 * @param {Scale} scale
 */
function describe(each, scale) {
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
        renderItem: (/** @type {unknown} */ _, /** @type {echarts.RenderApi} */ api) => {
          const [x0, y] = api.coord([api.value(0), api.value(2)]);
          const [x1, bottom] = api.coord([api.value(1), 0]);
          return {
            type: "rect",
            shape: { x: x0, y, width: Math.max(x1 - x0, 1), height: bottom - y },
            style: { fill },
          };
        },
      },
      describeMarks(each, muted, scale),
    ],
  };
}

/**
 * The median and, where its label has room, p95 as lines.
 * @param {Measured} each
 * @param {echarts.Option} muted
 * @param {Scale} scale
 */
function describeMarks({ figures }, muted, scale) {
  const lines = [{ xAxis: figures.p50_ms, name: "median" }];
  const apart =
    figures.p95_ms !== null && figures.p95_ms - (figures.p50_ms ?? 0) > (scale.high - scale.low) * LABELS_APART;
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
