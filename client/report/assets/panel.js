import { chart } from "./charts.js";
import { labelOf, lookOf, ownerOf } from "./data.js";
import { h } from "./dom.js";
import { figure, niceStep, seconds, tick, timeAxis, withUnit } from "./format.js";
import { shortened } from "./bars.js";
import { selection, setRange } from "./selection.js";
import { colour, dashOf, seriesColour, textStyle } from "./theme.js";

const HEIGHT = 150;
const LEFT = 48;
const BOTTOM = 24;
const LANE = 10;
const GUTTER = 150;
const GUTTER_NARROW = 96;
const NARROW = 600;
const LINE = 13;
const DENSE = 500;
const NAME_LENGTH = 22;
const DRAG_MIN = 6;
const STEPS = 200;
const HEADROOM = 1.03;

const cursors = new Set();
let cursorAt = null;

// One plot of a component: a line for each recording, a lane for each that was throttled, a cursor shared by all plots.
// `laneCount` lanes have room, so that the plots of a row stand level. `changed` is told when a part of the run was chosen with the mouse.
export function panel(component, recordings, scale, laneCount, changed) {
  const overlaid = recordings.length > 1;
  const lanes = recordings.filter((each) => each.throttled.length);
  const box = {
    left: LEFT,
    right: overlaid ? (innerWidth < NARROW ? GUTTER_NARROW : GUTTER) : 12,
    top: 10 + LANE * laneCount,
    height: overlaid ? HEIGHT + 70 : HEIGHT,
  };
  const drawing = chart(box.height, describe(component, recordings), () => option(component, recordings, scale, box, lanes));
  const line = h("div", { class: "cursor", hidden: true });
  const chosen = h("div", { class: "chosen", hidden: true });
  const reading = h("div", { class: "reading" }, atRest(component, recordings));
  const plot = h("div", slider(component, recordings), drawing, line, chosen);
  const geometry = () => {
    const width = plot.clientWidth - box.left - box.right;
    return { start: box.left, width, place: (t) => box.left + ((t - selection.from) / (selection.to - selection.from)) * width };
  };
  cursors.add({ plot, line, reading, geometry, box, component, recordings });
  pointing(plot, chosen, geometry, box, changed);
  keys(plot);
  return h("div", { class: "panel" }, reading, plot);
}

// Plots that left the page have no cursor.
export function forgetCursors() {
  cursors.clear();
  cursorAt = null;
}

function slider(component, recordings) {
  return {
    class: "plot",
    tabindex: 0,
    role: "slider",
    "aria-label": `${component.name}, ${recordings.map(labelOf).join(" and ")}: moment of the run`,
    "aria-valuemin": selection.from,
    "aria-valuemax": selection.to,
    "aria-valuenow": selection.from,
    "aria-valuetext": "arrow keys move through the run",
  };
}

function describe(component, recordings) {
  const words = recordings.map((each) => `${labelOf(each)}: ${statisticsOf(component, each)}`);
  const throttled = recordings.filter((each) => each.throttled.length).map((each) => `${labelOf(each)} was throttled`);
  return `${component.name} over time. ${[...words, ...throttled].join(". ")}`;
}

export function statisticsOf(component, recording) {
  const channel = recording.channels[component.key];
  if (!channel?.statistics) return "no value";
  const { median, min, max } = channel.statistics;
  return `median ${withUnit(median, component.unit)}, ${figure(min)} to ${figure(max)}`;
}

// What stands above a plot when nobody points at it: the timed phase of a lone recording.
function atRest(component, recordings) {
  return recordings.length > 1 ? "" : statisticsOf(component, recordings[0]);
}

// The newest value at or before a moment, null within a gap.
export function valueAt(channel, t) {
  let low = 0;
  let high = channel.t_s.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (channel.t_s[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : channel.values[low - 1];
}

export function point(t) {
  cursorAt = t;
  for (const each of cursors) {
    const { line, reading, geometry, box, component, recordings, plot } = each;
    const visible = t !== null && t >= selection.from && t <= selection.to;
    line.hidden = !visible;
    reading.classList.toggle("at", visible);
    if (!visible) {
      reading.textContent = atRest(component, recordings);
      continue;
    }
    line.style.left = `${geometry().place(t)}px`;
    line.style.top = `${box.top}px`;
    line.style.height = `${box.height - box.top - BOTTOM}px`;
    const values = recordings.map((recording) => {
      const value = valueAt(recording.channels[component.key], t);
      const words = withUnit(value, component.unit);
      return recordings.length > 1 ? `${shortened(labelOf(recording), 40)} ${words}` : words;
    });
    const words = `${seconds(t)}: ${values.join(" · ")}`;
    reading.textContent = words;
    plot.setAttribute("aria-valuenow", t.toFixed(2));
    plot.setAttribute("aria-valuetext", words);
  }
}

function pointing(plot, chosen, geometry, box, changed) {
  let began = null;
  const timeAt = (event) => {
    const { start, width } = geometry();
    const share = (event.clientX - plot.getBoundingClientRect().left - start) / width;
    return selection.from + Math.min(Math.max(share, 0), 1) * (selection.to - selection.from);
  };
  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) began = { x: event.clientX, t: timeAt(event) };
  });
  plot.addEventListener("pointermove", (event) => {
    const t = timeAt(event);
    point(t);
    if (!began) return;
    const { place } = geometry();
    const [low, high] = [Math.min(began.t, t), Math.max(began.t, t)];
    chosen.hidden = false;
    chosen.style.left = `${place(low)}px`;
    chosen.style.width = `${place(high) - place(low)}px`;
    chosen.style.top = `${box.top}px`;
    chosen.style.height = `${box.height - box.top - BOTTOM}px`;
  });
  plot.addEventListener("pointerup", (event) => {
    const start = began;
    began = null;
    chosen.hidden = true;
    if (!start || Math.abs(event.clientX - start.x) < DRAG_MIN) return;
    const t = timeAt(event);
    setRange(Math.min(start.t, t), Math.max(start.t, t));
    changed();
  });
  plot.addEventListener("pointerleave", () => {
    began = null;
    chosen.hidden = true;
    point(null);
  });
}

function keys(plot) {
  plot.addEventListener("keydown", (event) => {
    const step = ((selection.to - selection.from) / STEPS) * (event.shiftKey ? 10 : 1);
    const from = cursorAt ?? selection.from;
    const moves = { ArrowRight: from + step, ArrowLeft: from - step, Home: selection.from, End: selection.to };
    if (event.key === "Escape") point(null);
    else if (event.key in moves) {
      event.preventDefault();
      point(Math.min(Math.max(moves[event.key], selection.from), selection.to));
    }
  });
  plot.addEventListener("blur", () => point(null));
}

// One scale for all plots of a row: whole shares from 0 to 100, temperatures around what there is with the limit,
// everything else from zero.
export function scaleOf(component, recordings) {
  const channels = recordings.map((each) => each.channels[component.key]).filter(Boolean);
  const values = channels.flatMap((channel) => channel.values.filter((value) => value !== null));
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (component.most !== null) return { low: 0, high: Math.max(component.most, high), step: component.most / 2 };
  for (const { limit } of channels) if (limit !== null) high = Math.max(high, limit);
  if (component.zero_based) low = Math.min(0, low);
  const step = niceStep((high - low || Math.abs(high) || 1) / 3);
  const padded = component.zero_based && high > 0 ? high * HEADROOM : high;
  return { low: Math.floor(low / step) * step, high: Math.ceil(padded / step) * step || step, step };
}

function option(component, recordings, scale, box, lanes) {
  const muted = { ...textStyle(11), color: colour("muted") };
  const overlaid = recordings.length > 1;
  const time = timeAxis(selection.from, selection.to);
  return {
    animation: false,
    textStyle: textStyle(),
    grid: { left: box.left, right: box.right, top: box.top, bottom: BOTTOM },
    xAxis: {
      type: "value",
      min: time.min,
      max: time.max,
      interval: time.interval,
      axisLabel: { ...muted, formatter: time.label, hideOverlap: true, showMinLabel: time.showMin, showMaxLabel: time.showMax },
      splitLine: { show: false },
      axisLine: { lineStyle: { color: colour("strong-line") } },
    },
    yAxis: { type: "value", min: scale.low, max: scale.high, interval: scale.step, axisLabel: { ...muted, formatter: tick }, splitLine: { lineStyle: { color: colour("line") } } },
    series: [
      ...recordings.map((each, n) => line(component, each, overlaid, n === 0 ? recordings : null)),
      ...lanes.map((each, place) => lane(each, place, box, overlaid)),
      ...(overlaid ? [gutter(component, recordings, scale, box, lanes)] : []),
    ],
  };
}

function line(component, recording, overlaid, withLimits) {
  const channel = recording.channels[component.key];
  const look = lookOf(recording);
  const dash = overlaid ? dashOf(look) : [];
  const points = channel.t_s.map((t, n) => [t, channel.values[n]]);
  return {
    type: "line",
    data: points,
    clip: true,
    showSymbol: channel.t_s.length === 1,
    symbolSize: 4,
    silent: true,
    lineStyle: { color: seriesColour(look), width: points.length > DENSE ? 1.2 : 1.8, type: dash.length ? dash : "solid" },
    itemStyle: { color: seriesColour(look) },
    markArea: overlaid ? undefined : outside(recording),
    markLine: withLimits ? limits(component, withLimits) : undefined,
  };
}

// Names beside the ends of the lines, moved apart where they would cover each other, and beside the lanes.
function gutter(component, recordings, scale, box, lanes) {
  const height = box.height - box.top - BOTTOM;
  const ends = recordings.map((recording) => {
    const value = valueAt(recording.channels[component.key], selection.to) ?? scale.low;
    return { recording, y: box.top + height * (1 - (value - scale.low) / (scale.high - scale.low)) };
  });
  const labels = movedApart(ends, box.top, box.top + height);
  const text = (y, words) => ({ type: "text", style: { x: 0, y, text: words, fill: colour("ink"), font: `11px ${textStyle().fontFamily}`, verticalAlign: "middle" } });
  return {
    type: "custom",
    name: "names",
    silent: true,
    clip: false,
    data: [[selection.to, scale.low]],
    renderItem: (params) => {
      const x = params.coordSys.x + params.coordSys.width + 6;
      const names = labels.flatMap(({ recording, y, end }) => [
        { type: "line", shape: { x1: -5, y1: end, x2: 6, y2: y }, style: { stroke: seriesColour(lookOf(recording)), lineWidth: 2 } },
        { ...text(y, shortName(recording)), x: 9 },
      ]);
      const causes = lanes.map((recording, place) => ({ ...text(box.top - 7 - LANE * place, "⚠ throttled"), x: 9 }));
      return { type: "group", x, children: [...names, ...causes] };
    },
  };
}

function shortName(recording) {
  const again = recording.repeat > 0 ? ` #${recording.repeat + 1}` : "";
  return shortened((ownerOf(recording)?.name ?? recording.title) + again, NAME_LENGTH);
}

function movedApart(ends, top, bottom) {
  const ordered = [...ends].sort((a, b) => a.y - b.y).map((each) => ({ ...each, end: each.y }));
  ordered.forEach((each, n) => {
    if (n > 0) each.y = Math.max(each.y, ordered[n - 1].y + LINE);
  });
  for (let n = ordered.length - 1, most = bottom; n >= 0; n -= 1, most = ordered[n + 1].y - LINE) ordered[n].y = Math.max(top, Math.min(ordered[n].y, most));
  return ordered;
}

// Grey where nothing was timed.
function outside(recording) {
  const timed = recording.phases.find((phase) => phase.name === "timed" || phase.name === "command");
  if (!timed) return undefined;
  const areas = [[0, timed.start_s], [timed.end_s, recording.end_s]].filter(([from, to]) => to > from);
  return {
    silent: true,
    animation: false,
    itemStyle: { color: colour("outside") },
    data: areas.map(([from, to]) => [{ xAxis: from }, { xAxis: to }]),
  };
}

function limits(component, recordings) {
  const found = new Set(recordings.map((each) => each.channels[component.key].limit).filter((value) => value !== null));
  if (!found.size) return undefined;
  return {
    silent: true,
    symbol: "none",
    animation: false,
    lineStyle: { color: colour("throttle"), type: "dashed", width: 1 },
    label: { position: "insideStartTop", color: colour("ink"), backgroundColor: colour("ground"), padding: [0, 2], fontSize: 10, distance: 2, formatter: ({ value }) => `slows down at ${tick(value)} ${component.unit}` },
    data: [...found].map((value) => ({ yAxis: value })),
  };
}

// When a recording was throttled, above the plot: its own lane, in its own colour when there are several.
function lane(recording, place, box, overlaid) {
  const y = box.top - 11 - LANE * place;
  const fill = overlaid ? seriesColour(lookOf(recording)) : colour("throttle");
  return {
    type: "custom",
    name: "throttled",
    silent: true,
    clip: false,
    data: recording.throttled.map((span) => [span.start_s, span.end_s]),
    encode: { x: [0, 1] },
    renderItem: (params, api) => {
      const from = Math.max(api.value(0), selection.from);
      const to = Math.min(api.value(1), selection.to);
      if (to <= from) return null;
      const [x0] = api.coord([from, 0]);
      const [x1] = api.coord([to, 0]);
      const { x, width } = params.coordSys;
      const start = Math.max(x, x0);
      const shape = { x: start, y, width: Math.max(Math.min(x1, x + width) - start, 2), height: 8 };
      return { type: "rect", shape, style: { fill, stroke: colour("ink"), lineWidth: 0.5 } };
    },
  };
}
