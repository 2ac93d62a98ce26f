// Lines on axes that stand still: what moves is the data.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const DOTS_BELOW = 3; // points, of which a line alone would show nothing
const drawn = new Set();

// The smallest of 1, 2, 5, 10, ... that is not below a value; an axis that ends there grows seldom and never shrinks.
export function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((ceiling) => ceiling >= value);
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The same for bytes, which are counted in powers of 1024.
export function niceBytes(value) {
  const power = 1024 ** Math.max(0, Math.floor(Math.log(value) / Math.log(1024)));
  return niceCeiling(value / power) * power;
}

export class LineChart {
  // x and y: {min, max, interval, text(value)}; lines: their names; trip: a value to be marked, with trip.text.
  constructor(host, { x, y, lines, trip = null }) {
    Object.assign(this, { host, x, y, lines, trip });
    this.data = lines.map(() => []);
    host.setAttribute("role", "img");
    this.canvas = window.echarts.init(host, null, { renderer: "canvas" });
    this.resizing = new ResizeObserver(() => this.canvas.resize());
    this.resizing.observe(host);
    drawn.add(this);
    this.restyle();
  }

  // data: points [x, y] by line; summary: what a screen reader says in place of the picture.
  draw(data, summary) {
    this.data = data;
    this.host.setAttribute("aria-label", summary);
    this.canvas.setOption({ series: data.map((points) => ({ data: points, showSymbol: points.length < DOTS_BELOW })) });
  }

  // Another end of an axis; does nothing when it is the old one.
  scale({ x = this.x, y = this.y, trip = this.trip }) {
    const same = [
      [x, this.x],
      [y, this.y],
    ].every(([a, b]) => a.min === b.min && a.max === b.max);
    if (same && trip?.value === this.trip?.value) return;
    Object.assign(this, { x, y, trip });
    this.restyle();
  }

  dispose() {
    drawn.delete(this);
    this.resizing.disconnect();
    this.canvas.dispose();
  }

  restyle() {
    const [text, rule] = [color("--quiet"), color("--rule")];
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
        backgroundColor: color("--surface"),
        borderColor: rule,
        padding: 8,
        textStyle: { color: color("--text"), fontFamily: FONT, fontSize: 12 },
        axisPointer: { lineStyle: { color: text } },
        formatter: (points) => this.tip(points),
      },
      series: this.lines.map((name, index) => this.series(name, index)),
    });
  }

  series(name, index) {
    const line = color(["--line-1", "--line-2"][index]);
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
      markLine: index === 0 && this.trip ? this.mark() : { data: [] },
    };
  }

  mark() {
    return {
      silent: true,
      symbol: "none",
      animation: false,
      lineStyle: { color: color("--alarm"), type: "dashed", width: 1 },
      label: {
        formatter: this.trip.text,
        position: "insideStartBottom",
        color: color("--alarm"),
        fontFamily: FONT,
        fontSize: 11,
      },
      data: [{ yAxis: this.trip.value }],
    };
  }

  tip(points) {
    const found = points.filter((point) => point.value[1] !== null);
    if (!found.length) return "";
    const lines = found.map((point) => {
      const value = this.y.exact(point.value[1]);
      return this.lines.length > 1 ? `${point.seriesName} ${value}` : value;
    });
    return [this.x.exact(found[0].value[0]), ...lines].join("\n");
  }
}

// Colours of the other scheme, when the system changes from light to dark.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((chart) => chart.restyle()));
