/**
 * Figures of all configurations side by side.
 */

import { createChart, describeRows } from "./charts.js";
import { colour } from "./colours.js";
import { report } from "./data.js";
import { create } from "./dom.js";
import { factor, figure, milliseconds } from "./figures.js";
import { findBest } from "./result.js";
import { appendSection } from "./sections.js";
import { createDetails, createTable } from "./table.js";
import { seriesColour, textStyle } from "./theme.js";

const ROW = 44;
const GUTTER = 118;
/** @type {FigureName[]} */
const WHISKERS = ["p5_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms"];
const DOUBTED = 0.45;
/** @typedef {import("./result.js").FigureName} FigureName */

/**
 * @typedef {object} Measure
 * @property {string} title
 * @property {FigureName} key
 * @property {boolean} lower whether less is better
 * @property {(value: number) => string} show
 * @property {boolean} [whiskers] whether p5 and p95 are drawn
 * @property {boolean} [times] whether factors are shown
 */

/** @type {Measure[]} */
const MEASURES = [
  { title: "Model load time", key: "load_ms", lower: true, show: milliseconds },
  { title: "First inference", key: "first_inference_ms", lower: true, show: milliseconds },
  { title: "Inference time, median", key: "p50_ms", lower: true, show: milliseconds, whiskers: true, times: true },
  { title: "Frames per second", key: "fps", lower: false, show: (value) => `${figure(value)} fps` },
  { title: "Energy of a frame", key: "energy_mj", lower: true, show: (value) => `${figure(value)} mJ` },
];

/** Show a chart for each figure that was measured. */
export function showBars() {
  const measured = MEASURES.filter(({ key }) => report.configurations.some((each) => each.figures[key] !== null));
  if (!measured.length) return;
  const place = appendSection("bars", "Side by side");
  place.append(create("div", { class: "bars", "data-count": measured.length }, measured.map(createBar)));
  place.append(
    create(
      "p",
      { class: "small muted" },
      "The thin line on an inference time goes from p5 to p95. Factors compare with the fastest of the same batch and streams, where the samples can tell. ⚠ marks what is unreliable.",
    ),
  );
  const sources = [...new Set(report.configurations.map((each) => each.energy_source).filter(Boolean))];
  if (sources.length)
    place.append(
      create("p", { class: "small muted" }, `Energy: ${sources.join("; ")}, integrated over the timed phase.`),
    );
}

/**
 * The figure of a configuration that has it.
 * @param {Report.Configuration} each
 * @param {Measure} measure
 */
function figureOf(each, measure) {
  return each.figures[measure.key] ?? 0;
}

/**
 * Create the chart of a measure, with its numbers behind it.
 * @param {Measure} measure
 */
function createBar(measure) {
  const rows = report.configurations.filter((each) => each.figures[measure.key] !== null);
  const words = rows.map((each) => `${each.name}: ${measure.show(figureOf(each, measure))}`).join("; ");
  const direction = measure.lower ? "lower is better" : "higher is better";
  return create(
    "figure",
    {},
    create("figcaption", {}, create("b", {}, measure.title), create("span", { class: "small muted" }, direction)),
    createChart(ROW * rows.length + 10, `${measure.title}, ${direction}. ${words}`, (width) =>
      describe(measure, rows, width),
    ),
    createDetails(`Data: ${measure.title.toLowerCase()}`, () => createDataTable(measure, rows)),
  );
}

/**
 * @param {Measure} measure
 * @param {readonly Report.Configuration[]} rows
 */
function createDataTable(measure, rows) {
  /** @type {import("./table.js").Column<Report.Configuration>[]} */
  const columns = [
    { label: "Configuration", rowHead: true, value: (each) => each.name },
    {
      label: measure.title,
      right: true,
      value: (each) => each.figures[measure.key],
      show: (each) => measure.show(figureOf(each, measure)),
    },
  ];
  if (measure.whiskers)
    for (const key of WHISKERS)
      columns.push({
        label: key.replace("_ms", ""),
        right: true,
        value: (each) => each.figures[key],
        show: (each) => milliseconds(each.figures[key]),
      });
  return createTable({ columns, rows, className: "dense", sortable: true });
}

/**
 * @param {Measure} measure
 * @param {readonly Report.Configuration[]} rows
 * @param {number} width
 */
function describe(measure, rows, width) {
  const label = Math.min(230, Math.max(116, width * 0.36));
  const values = rows.map((each) => figureOf(each, measure));
  const ends = rows.map((each, n) => Math.max(values[n], (measure.whiskers && each.figures.p95_ms) || 0));
  const top = findBest((each) => each.figures[measure.key], measure.lower);
  const shared = { animation: false, textStyle: textStyle() };
  return {
    ...shared,
    grid: { left: label, right: GUTTER, top: 6, bottom: 4 },
    xAxis: { type: "value", min: 0, max: Math.max(...ends) || 1, show: false },
    yAxis: describeRows(rows.length, label, (n) => writeLabel(rows[n], label), { rich: describeLabel() }),
    series: [
      {
        type: "bar",
        barWidth: 18,
        silent: true,
        data: rows.map((each, n) => ({
          value: values[n],
          itemStyle: {
            color: seriesColour(each.id),
            opacity: each.verdict === "unreliable" ? DOUBTED : 1,
            borderRadius: [0, 2, 2, 0],
          },
        })),
      },
      {
        type: "custom",
        silent: true,
        clip: false,
        data: rows.map((_, n) => [values[n], n]),
        renderItem: (/** @type {unknown} */ _, /** @type {echarts.RenderApi} */ api) =>
          drawMarks(measure, rows[api.value(1)], api, ends[api.value(1)], top),
      },
    ],
  };
}

/**
 * @param {Report.Configuration} each
 * @param {number} width
 */
function writeLabel(each, width) {
  /** @param {string} text */
  const plain = (text) => text.replaceAll(/[{}|\n]/g, " ");
  return `{title|${plain(shorten(each.title, Math.floor(width / 7.4)))}}\n{subtitle|${plain(shorten(each.subtitle, Math.floor(width / 6.2)))}}`;
}

/** Describe the two lines of a label. */
function describeLabel() {
  const style = textStyle();
  return {
    title: { ...style, fontSize: 12, fontWeight: 600, lineHeight: 16 },
    subtitle: { ...style, fontSize: 11, lineHeight: 14, color: colour("muted") },
  };
}

/**
 * Cut a text that is longer than so many letters.
 * @param {string} text
 * @param {number} most
 */
export function shorten(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/**
 * The whisker, the value at its end, and how many times slower it is than the best.
 * @param {Measure} measure
 * @param {Report.Configuration} each
 * @param {echarts.RenderApi} api
 * @param {number} end of the bar or its whisker
 * @param {number | null} top the best value
 */
function drawMarks(measure, each, api, end, top) {
  const value = figureOf(each, measure);
  const [, y] = api.coord([0, api.value(1)]);
  const [x] = api.coord([end, api.value(1)]);
  /** @type {echarts.Option[]} */
  const children = measure.whiskers ? drawWhisker(each.figures, api, y) : [];
  const isBest = value === top && each.verdict !== "unreliable";
  const times = measure.times && each.times_slower ? ` ${factor(each.times_slower)}×` : "";
  const doubt = each.verdict === "unreliable" ? " ⚠" : "";
  const font = `${isBest ? "bold " : ""}12px ${textStyle().fontFamily}`;
  children.push({
    type: "text",
    style: {
      x: x + 8,
      y,
      text: measure.show(value) + times + doubt,
      fill: colour("ink"),
      font,
      verticalAlign: "middle",
    },
  });
  return { type: "group", children };
}

/**
 * @param {Report.Figures} figures
 * @param {echarts.RenderApi} api
 * @param {number} y
 */
function drawWhisker(figures, api, y) {
  const { p5_ms: low, p95_ms: high } = figures;
  if (low === null || high === null) return [];
  const row = api.value(1);
  const [x0] = api.coord([low, row]);
  const [x1] = api.coord([high, row]);
  const style = { stroke: colour("ink"), lineWidth: 1.3 };
  /**
   * @param {number} ax
   * @param {number} ay
   * @param {number} bx
   * @param {number} by
   */
  const line = (ax, ay, bx, by) => ({ type: "line", shape: { x1: ax, y1: ay, x2: bx, y2: by }, style });
  return [line(x0, y, x1, y), line(x0, y - 4, x0, y + 4), line(x1, y - 4, x1, y + 4)];
}
