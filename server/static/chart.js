/**
 * Lines on axes that stand still: what moves is the data.
 */

import { colour, onSchemeChange } from "./colours.js";
import { roundUp } from "./format.js";

/** @typedef {import("./past.js").Point} Point */

/**
 * An axis: its ends, the step of its ticks, and how its numbers are written there and under the pointer.
 * @typedef {object} Axis
 * @property {number} min
 * @property {number} max
 * @property {number} [interval]
 * @property {(value: number) => string} text
 * @property {(value: number) => string} exact
 */

/** @typedef {{value: number, text: string}} Trip */

const STEPS = [1, 2, 5, 10];
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const DOTS_BELOW = 3; // points, of which a line alone would show nothing
/** @type {Set<LineChart>} */
const drawn = new Set();

/**
 * Find the smallest of 1, 2, 5, 10, ... that is not below a value; an axis that ends there grows seldom and never
 * shrinks.
 * @param {number} value
 */
export function niceCeiling(value) {
  if (!(value > 0)) return 1;
  return roundUp(value, STEPS);
}

/**
 * Find the same for bytes, which are counted in powers of 1024.
 * @param {number} value
 */
export function niceBytes(value) {
  const power = 1024 ** Math.max(0, Math.floor(Math.log(value) / Math.log(1024)));
  return niceCeiling(value / power) * power;
}

/** Lines in an element. */
export class LineChart {
  /**
   * @param {HTMLElement} host
   * @param {{x: Axis, y: Axis, lines: readonly string[], trip?: Trip | null}} shown its axes, the names of its lines,
   *   and a value to be marked
   */
  constructor(host, { x, y, lines, trip = null }) {
    this.host = host;
    this.x = x;
    this.y = y;
    this.lines = lines;
    this.trip = trip;
    /** @type {Point[][]} */
    this.data = lines.map(() => []);
    host.setAttribute("role", "img");
    this.canvas = window.echarts.init(host, null, { renderer: "canvas" });
    this.resizing = new ResizeObserver(() => this.canvas.resize());
    this.resizing.observe(host);
    drawn.add(this);
    this.restyle();
  }

  /**
   * Draw other data.
   * @param {Point[][]} data the points of each line
   * @param {string} summary what a screen reader says in place of the picture
   */
  draw(data, summary) {
    this.data = data;
    this.host.setAttribute("aria-label", summary);
    this.canvas.setOption({ series: data.map((points) => ({ data: points, showSymbol: points.length < DOTS_BELOW })) });
  }

  /**
   * Give an axis another end; does nothing when it is the old one.
   * @param {{x?: Axis, y?: Axis, trip?: Trip | null}} shown
   */
  scale({ x = this.x, y = this.y, trip = this.trip }) {
    const same = [
      [x, this.x],
      [y, this.y],
    ].every(([a, b]) => a.min === b.min && a.max === b.max);
    if (same && trip?.value === this.trip?.value) return;
    this.x = x;
    this.y = y;
    this.trip = trip;
    this.restyle();
  }

  /** Leave the page. */
  dispose() {
    drawn.delete(this);
    this.resizing.disconnect();
    this.canvas.dispose();
  }

  /** Draw everything anew, in the colours of now. */
  restyle() {
    const [text, rule] = [colour("quiet"), colour("rule")];
    /**
     * @param {Axis} axis
     * @param {echarts.Option} [align]
     */
    const axis = ({ min, max, interval, text: formatter }, align) => ({
      type: "value",
      min,
      max,
      interval,
      axisLabel: { color: text, fontFamily: FONT, fontSize: 11, formatter, hideOverlap: true, ...align },
      axisTick: { show: false },
    });
    this.canvas.setOption({
      animation: false,
      grid: { left: 66, right: 10, top: 12, bottom: 28, outerBoundsMode: "none" },
      xAxis: {
        ...axis(this.x, { alignMinLabel: "left", alignMaxLabel: "right", margin: 10 }),
        splitLine: { show: false },
        axisLine: { show: false },
      },
      yAxis: { ...axis(this.y), splitLine: { lineStyle: { color: rule } }, axisLine: { show: false } },
      tooltip: {
        trigger: "axis",
        renderMode: "richText",
        confine: true,
        backgroundColor: colour("surface"),
        borderColor: rule,
        padding: 8,
        textStyle: { color: colour("text"), fontFamily: FONT, fontSize: 12 },
        axisPointer: { lineStyle: { color: text } },
        formatter: (/** @type {echarts.TooltipPoint[]} */ points) => this.tip(points),
      },
      series: this.lines.map((name, index) => this.series(name, index)),
    });
  }

  /**
   * @param {string} name
   * @param {number} index
   */
  series(name, index) {
    const line = colour(["line-1", "line-2"][index]);
    return {
      name,
      type: "line",
      data: this.data[index],
      showSymbol: this.data[index].length < DOTS_BELOW,
      symbol: "circle",
      symbolSize: 5,
      silent: true,
      connectNulls: false,
      lineStyle: { width: 1.75, color: line, type: index ? [4, 3] : "solid" },
      itemStyle: { color: line },
      markLine: index === 0 && this.trip ? this.mark(this.trip) : { data: [] },
    };
  }

  /**
   * Describe the line at the value that is marked.
   * @param {Trip} trip
   */
  mark(trip) {
    return {
      silent: true,
      symbol: "none",
      animation: false,
      lineStyle: { color: colour("alarm"), type: "dashed", width: 1 },
      label: {
        formatter: trip.text,
        position: "insideStartBottom",
        color: colour("alarm"),
        fontFamily: FONT,
        fontSize: 11,
      },
      data: [{ yAxis: trip.value }],
    };
  }

  /**
   * Say what is under the pointer.
   * @param {readonly echarts.TooltipPoint[]} points
   */
  tip(points) {
    const found = points.filter((point) => point.value[1] !== null);
    if (!found.length) return "";
    const lines = found.map((point) => {
      const value = this.y.exact(point.value[1] ?? Number.NaN);
      return this.lines.length > 1 ? `${point.seriesName} ${value}` : value;
    });
    return [this.x.exact(found[0].value[0]), ...lines].join("\n");
  }
}

// Colours of the other scheme, when the system changes from light to dark.
onSchemeChange(() => {
  for (const chart of drawn) chart.restyle();
});
