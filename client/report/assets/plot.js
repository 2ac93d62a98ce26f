/**
 * What a plot of a component shows, for ECharts.
 */

import { shorten } from "./bars.js";
import { colour } from "./colours.js";
import { lookOf, ownerOf } from "./data.js";
import { describeTimeAxis, niceStep, tick } from "./figures.js";
import { isKnown } from "./format.js";
import { selection } from "./selection.js";
import { dashOf, seriesColour, textStyle } from "./theme.js";

/** @typedef {{low: number, high: number, step: number}} Scale */

/**
 * Where the grid of a plot lies, in pixels.
 * @typedef {{left: number, right: number, top: number, height: number}} Box
 */

/** @typedef {{recording: Report.ShownRecording, y: number}} End */

const LINE = 13;
const DENSE = 500;
const NAME_LENGTH = 22;
const HEADROOM = 1.03;
export const BOTTOM = 24;
export const LANE = 10;

/**
 * Find the newest value at or before a moment; null within a gap.
 * @param {Report.Channel} channel
 * @param {number} t
 */
export function findValue(channel, t) {
  let low = 0;
  let high = channel.t_s.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (channel.t_s[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : channel.values[low - 1];
}

/**
 * Choose one scale for all plots of a row: whole shares from 0 to 100, temperatures around what there is with the
 * limit, everything else from zero.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 * @returns {Scale}
 */
export function chooseScale(component, recordings) {
  const channels = recordings.map((each) => each.channels[component.key]).filter(Boolean);
  const values = channels.flatMap((channel) => channel.values.filter(isKnown));
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (component.most !== null) return { low: 0, high: Math.max(component.most, high), step: component.most / 2 };
  for (const { limit } of channels) if (limit !== null) high = Math.max(high, limit);
  if (component.zero_based) low = Math.min(0, low);
  const step = niceStep((high - low || Math.abs(high) || 1) / 3);
  const padded = component.zero_based && high > 0 ? high * HEADROOM : high;
  return { low: Math.floor(low / step) * step, high: Math.ceil(padded / step) * step || step, step };
}

/**
 * Say what ECharts draws in a plot: see createPanel() for its arguments.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 * @param {Scale} scale
 * @param {Box} box
 * @param {readonly Report.ShownRecording[]} lanes
 */
export function describePlot(component, recordings, scale, box, lanes) {
  const muted = { ...textStyle(11), color: colour("muted") };
  const overlaid = recordings.length > 1;
  return {
    animation: false,
    textStyle: textStyle(),
    grid: { left: box.left, right: box.right, top: box.top, bottom: BOTTOM },
    xAxis: {
      ...describeTimeAxis(selection.from, selection.to, muted),
      axisLine: { lineStyle: { color: colour("strong-line") } },
    },
    yAxis: {
      type: "value",
      min: scale.low,
      max: scale.high,
      interval: scale.step,
      axisLabel: { ...muted, formatter: tick },
      splitLine: { lineStyle: { color: colour("line") } },
    },
    series: [
      ...recordings.map((each, n) => describeLine(component, each, overlaid, n === 0 ? recordings : null)),
      ...lanes.map((each, place) => describeLane(each, place, box, overlaid)),
      ...(overlaid ? [describeGutter(component, recordings, scale, box, lanes)] : []),
    ],
  };
}

/**
 * @param {Report.Component} component
 * @param {Report.ShownRecording} recording
 * @param {boolean} overlaid
 * @param {readonly Report.ShownRecording[] | null} withLimits whose limits it carries
 */
function describeLine(component, recording, overlaid, withLimits) {
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
    lineStyle: {
      color: seriesColour(look),
      width: points.length > DENSE ? 1.2 : 1.8,
      type: dash.length ? dash : "solid",
    },
    itemStyle: { color: seriesColour(look) },
    markArea: overlaid ? undefined : describeOutside(recording),
    markLine: withLimits ? describeLimits(component, withLimits) : undefined,
  };
}

/**
 * Names beside the ends of the lines, moved apart where they would cover each other, and beside the lanes.
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 * @param {Scale} scale
 * @param {Box} box
 * @param {readonly Report.ShownRecording[]} lanes
 */
function describeGutter(component, recordings, scale, box, lanes) {
  const height = box.height - box.top - BOTTOM;
  const ends = recordings.map((recording) => {
    const value = findValue(recording.channels[component.key], selection.to) ?? scale.low;
    return { recording, y: box.top + height * (1 - (value - scale.low) / (scale.high - scale.low)) };
  });
  const labels = moveApart(ends, box.top + (lanes.length ? 5 : 0), box.top + height);
  /**
   * @param {number} y
   * @param {string} words
   */
  const text = (y, words) => ({
    type: "text",
    style: {
      x: 0,
      y,
      text: words,
      fill: colour("ink"),
      font: `11px ${textStyle().fontFamily}`,
      verticalAlign: "middle",
    },
  });
  return {
    type: "custom",
    name: "names",
    silent: true,
    clip: false,
    data: [[selection.to, scale.low]],
    renderItem: (/** @type {echarts.RenderParams} */ params) => {
      const x = params.coordSys.x + params.coordSys.width + 6;
      const names = labels.flatMap(({ recording, y, end }) => [
        {
          type: "line",
          shape: { x1: -5, y1: end, x2: 6, y2: y },
          style: { stroke: seriesColour(lookOf(recording)), lineWidth: 2 },
        },
        { ...text(y, shortName(recording)), x: 9 },
      ]);
      const causes = lanes.map((_, place) => ({ ...text(box.top - 7 - LANE * place, "⚠ throttled"), x: 9 }));
      return { type: "group", x, children: [...names, ...causes] };
    },
  };
}

/**
 * Say which recording it is where there is little room.
 * @param {Report.ShownRecording} recording
 */
export function shortName(recording) {
  const again = recording.repeat > 0 ? ` #${recording.repeat + 1}` : "";
  return shorten((ownerOf(recording)?.name ?? recording.title) + again, NAME_LENGTH);
}

/**
 * @param {readonly End[]} ends
 * @param {number} top
 * @param {number} bottom
 */
function moveApart(ends, top, bottom) {
  const ordered = [...ends].sort((a, b) => a.y - b.y).map((each) => ({ ...each, end: each.y }));
  ordered.forEach((each, n) => {
    if (n > 0) each.y = Math.max(each.y, ordered[n - 1].y + LINE);
  });
  for (let n = ordered.length - 1, most = bottom; n >= 0; n -= 1, most = ordered[n + 1].y - LINE)
    ordered[n].y = Math.max(top, Math.min(ordered[n].y, most));
  return ordered;
}

/**
 * Grey where nothing was timed.
 * @param {Report.ShownRecording} recording
 */
function describeOutside(recording) {
  const timed = recording.phases.find((phase) => phase.name === "timed" || phase.name === "command");
  if (!timed) return undefined;
  const areas = [
    [0, timed.start_s],
    [timed.end_s, recording.end_s],
  ].filter(([from, to]) => to > from);
  return {
    silent: true,
    animation: false,
    itemStyle: { color: colour("outside") },
    data: areas.map(([from, to]) => [{ xAxis: from }, { xAxis: to }]),
  };
}

/**
 * @param {Report.Component} component
 * @param {readonly Report.ShownRecording[]} recordings
 */
function describeLimits(component, recordings) {
  const found = new Set(recordings.map((each) => each.channels[component.key].limit).filter((value) => value !== null));
  if (!found.size) return undefined;
  return {
    silent: true,
    symbol: "none",
    animation: false,
    lineStyle: { color: colour("throttle"), type: "dashed", width: 1 },
    label: {
      position: "insideStartTop",
      color: colour("ink"),
      backgroundColor: colour("ground"),
      padding: [0, 2],
      fontSize: 10,
      distance: 2,
      formatter: (/** @type {{value: number}} */ { value }) => `slows down at ${tick(value)} ${component.unit}`,
    },
    data: [...found].map((value) => ({ yAxis: value })),
  };
}

/**
 * When a recording was throttled, above the plot: its own lane, in its own colour when there are several.
 * @param {Report.ShownRecording} recording
 * @param {number} place
 * @param {Box} box
 * @param {boolean} overlaid
 */
function describeLane(recording, place, box, overlaid) {
  const y = box.top - 11 - LANE * place;
  const fill = overlaid ? seriesColour(lookOf(recording)) : colour("throttle");
  return {
    type: "custom",
    name: "throttled",
    silent: true,
    clip: false,
    data: recording.throttled.map((span) => [span.start_s, span.end_s]),
    encode: { x: [0, 1] },
    renderItem: (/** @type {echarts.RenderParams} */ params, /** @type {echarts.RenderApi} */ api) => {
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
