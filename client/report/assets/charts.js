/**
 * Charts, drawn when somebody may see them.
 */

import { create } from "./dom.js";
import { onThemeChange } from "./theme.js";

/**
 * @typedef {object} Chart
 * @property {HTMLElement} element
 * @property {(width: number) => echarts.Option} option
 * @property {echarts.Chart | null} instance there once it is drawn
 * @property {number} width that it was drawn for
 */

const MARGIN = "600px";
/** @type {Map<Element, Chart>} */
const alive = new Map();

// The root is named, because a frame of another origin (a notebook's cell) has no margin around the implicit one.
const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) drawNow(entry.target);
  },
  { root: document, rootMargin: MARGIN },
);
const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const chart = alive.get(entry.target);
    if (!chart?.instance || chart.width === entry.target.clientWidth) continue;
    chart.width = entry.target.clientWidth;
    chart.instance.resize();
    chart.instance.setOption(chart.option(entry.target.clientWidth), { notMerge: true });
  }
});

/**
 * Create a chart that is drawn when it comes near the screen.
 * @param {number} height
 * @param {string} label what a screen reader says
 * @param {(width: number) => echarts.Option} option what ECharts draws, made anew after every change of size or colours
 */
export function createChart(height, label, option) {
  const element = create("div", { class: "chart", role: "img", "aria-label": label });
  element.style.height = `${height}px`;
  alive.set(element, { element, option, instance: null, width: 0 });
  sight.observe(element);
  return element;
}

/**
 * Describe the axis of a chart that has a row for each thing, the first on top, with labels that are cut off at its edge.
 * @param {number} count of rows
 * @param {number} width of the labels
 * @param {(row: number) => string} label of a row
 * @param {echarts.Option} style of the labels
 */
export function describeRows(count, width, label, style) {
  return {
    type: "category",
    inverse: true,
    data: Array.from({ length: count }, (_, n) => n),
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: {
      formatter: label,
      margin: width - 2,
      align: "left",
      width: width - 12,
      overflow: "truncate",
      ...style,
    },
  };
}

/**
 * Draw a chart again, when it was drawn: its data or range changed.
 * @param {Element} element
 */
export function redraw(element) {
  const chart = alive.get(element);
  if (chart?.instance) chart.instance.setOption(chart.option(element.clientWidth), { notMerge: true });
}

/**
 * Forget charts that leave the page.
 * @param {Element} container
 */
export function discard(container) {
  for (const element of container.querySelectorAll(".chart")) {
    alive.get(element)?.instance?.dispose();
    sight.unobserve(element);
    sizes.unobserve(element);
    alive.delete(element);
  }
}

/** @param {Element} element */
function drawNow(element) {
  const chart = alive.get(element);
  if (!chart || chart.instance || element.clientWidth === 0) return;
  chart.width = element.clientWidth;
  chart.instance = echarts.init(chart.element, null, { renderer: "svg" });
  chart.instance.setOption(chart.option(chart.width));
  sight.unobserve(element);
  sizes.observe(element);
}

onThemeChange(() => {
  for (const element of alive.keys()) redraw(element);
});
addEventListener("beforeprint", () => {
  for (const element of alive.keys()) drawNow(element);
});
