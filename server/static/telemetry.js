/**
 * The sensors: one stream in, a chart a panel out, greyed when nothing comes any more.
 */

import { findThrottling } from "./alarm.js";
import { whileSeen } from "./attention.js";
import { LineChart } from "./chart.js";
import { byId, create, find } from "./dom.js";
import { say } from "./elements.js";
import { Stream } from "./events.js";
import { isKnown, plural } from "./format.js";
import { PANELS } from "./panels.js";
import { KEPT_S, Past } from "./past.js";
import { duration } from "./readings.js";

/** @typedef {import("./past.js").Point} Point */

const STALE_BEATS = 3;
const WATCH_MS = 250;
/** @type {import("./chart.js").Axis} */
const X_AXIS = {
  min: -KEPT_S,
  max: 0,
  interval: 60,
  text: (x) => (x === 0 ? "now" : `${x / 60} min`),
  exact: (x) => (x === 0 ? "now" : `${duration(-x)} ago`),
};

/** The part of the page that shows the sensors. */
export class Telemetry {
  /**
   * @param {(throttling: readonly string[]) => void} onSample is called with each sample that is shown
   */
  constructor(onSample) {
    this.onSample = onSample;
    this.past = new Past();
    this.panels = PANELS.map((panel) => new Panel(panel, byId("panels")));
    this.paused = false;
    this.heard = performance.now();
    /** @type {number | null} */
    this.waitsUntil = null;
    /** @type {import("./api.js").Refusal | null} */
    this.refusal = null;
    byId("pause").addEventListener("click", () => this.pause(!this.paused));
    document.addEventListener("visibilitychange", () => this.seen());
    whileSeen(
      () => {
        this.stream = this.connect();
      },
      () => this.stream.stop(),
    );
    setInterval(() => this.watch(), WATCH_MS);
    this.stream = this.connect();
  }

  /** Follow the agent's stream of samples. */
  connect() {
    return new Stream(`/v1/telemetry/stream?past_s=${KEPT_S}`, {
      onEvent: (event) => this.take(event),
      onWait: (ms, refusal) => {
        this.waitsUntil = performance.now() + ms;
        this.refusal = refusal;
      },
    });
  }

  /**
   * Take an event.
   * @param {import("./events.js").StreamEvent} event
   */
  take({ name, data }) {
    if (name === "past") for (const sample of /** @type {Agent.TelemetrySample[]} */ (data)) this.past.take(sample);
    if (name !== "sample") return;
    this.past.take(/** @type {Agent.TelemetrySample} */ (data));
    this.heard = performance.now();
    this.waitsUntil = this.refusal = null;
    if (!this.paused && !document.hidden) this.draw();
    this.onSample(findThrottling(this.past));
    this.watch();
  }

  /** Draw everything. */
  draw() {
    for (const panel of this.panels) panel.draw(this.past);
    showUnmeasured(this.past);
  }

  /**
   * Hold the picture, or let it go on.
   * @param {boolean} paused
   */
  pause(paused) {
    this.paused = paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    say(byId("pause"), paused ? "Resume" : "Pause");
    if (!paused && this.past.samples.length) this.draw();
    this.watch();
  }

  /** The page came into sight. */
  seen() {
    if (document.hidden) return;
    this.stream.hurry();
    if (!this.paused && this.past.samples.length) this.draw();
  }

  /** Say in the status line whether what is shown is still the present. */
  watch() {
    const now = performance.now();
    const silent = (now - this.heard) / 1000;
    const interval = this.past.interval_s;
    const stale = silent > STALE_BEATS * interval;
    document.body.classList.toggle("stale", stale);
    const [state, text] = this.state(now, silent, interval, stale);
    if (byId("status").dataset.state !== state) say(byId("status-change"), text); // read out; not every second
    byId("status").dataset.state = state;
    say(byId("status"), text);
  }

  /**
   * Say how the stream is.
   * @param {number} now
   * @param {number} silent seconds without a sample
   * @param {number} interval
   * @param {boolean} stale
   * @returns {[state: string, text: string]}
   */
  state(now, silent, interval, stale) {
    const again =
      this.waitsUntil === null ? "" : `, trying again in ${Math.max(1, Math.ceil((this.waitsUntil - now) / 1000))} s`;
    if (this.refusal) return ["stale", `${this.refusal.message}${again}`];
    if (stale && this.past.samples.length === 0) return ["stale", `no data yet${again}`];
    if (stale) return ["stale", `stale: no data for ${Math.floor(silent)} s${again}`];
    if (this.waitsUntil !== null) return ["connecting", `connection lost${again}`];
    if (this.past.samples.length === 0) return ["connecting", "connecting"];
    if (this.paused) return ["paused", "paused; the agent goes on"];
    return ["live", interval === 1 ? "live, 1 sample per second" : `live, a sample every ${duration(interval)}`];
  }
}

/** One chart with its newest value. */
class Panel {
  /**
   * @param {import("./panels.js").Panel} panel
   * @param {Element} parent
   */
  constructor(panel, parent) {
    this.panel = panel;
    this.highest = 0;
    /** @type {LineChart | null} */
    this.chart = null;
    this.values = (panel.names ?? [""]).map((name, index) =>
      create("span", name ? { class: `line-${index + 1}` } : {}),
    );
    this.value = create("strong", { class: "value" }, ...this.values.flatMap((value) => [value, " "]));
    this.note = create("span", { class: "quiet" });
    this.plot = create("div", { class: "plot" });
    this.missing = create("p", { class: "missing" });
    const heading = create(
      "div",
      { class: "panel-head" },
      create("h3", {}, panel.title),
      create("span", {}, this.value, " ", this.note),
    );
    this.root = create("section", { class: "panel", "aria-label": panel.title }, heading, this.plot, this.missing);
    this.root.hidden = true;
    parent.append(this.root);
  }

  /** @param {Past} past */
  draw(past) {
    const lines = this.panel.lines(past);
    this.root.hidden = !lines.length && !this.panel.always;
    this.plot.hidden = !lines.length;
    this.missing.hidden = lines.length > 0;
    this.root.classList.toggle("without", lines.length === 0);
    if (!lines.length) {
      const reason = past.unavailable[this.panel.metrics[0]];
      for (const value of this.values) say(value, "");
      say(this.note, "");
      say(this.missing, reason ? `Not measured: ${reason}` : "No value yet");
      return;
    }
    const data = lines.map((valueAt) => past.points(valueAt));
    const newest = data.map((points) => points[points.length - 1][1]);
    for (const [i, value] of newest.entries())
      say(this.values[i], [this.panel.names?.[i], this.panel.text(value)].filter(Boolean).join(" "));
    say(this.note, this.panel.note?.(past) ?? "");
    this.plotLines(past, data);
  }

  /**
   * @param {Past} past
   * @param {Point[][]} data
   */
  plotLines(past, data) {
    const values = data
      .flat()
      .map((point) => point[1])
      .filter(isKnown);
    this.highest = Math.max(this.highest, ...values);
    const y = this.panel.axis(past, this.highest);
    const at = this.panel.trip?.(past) ?? null;
    const trip = at === null ? null : { value: at, text: `slowed down from ${this.panel.text(at)}` };
    const names = this.panel.names ?? [this.panel.title];
    this.chart ??= new LineChart(this.plot, { x: X_AXIS, y, lines: names, trip });
    this.chart.scale({ y, trip });
    this.chart.draw(data, this.summary(values));
  }

  /**
   * Say in words what the lines show.
   * @param {readonly number[]} values
   */
  summary(values) {
    if (!values.length) return `${this.panel.title}: no values`;
    const [least, most] = [Math.min(...values), Math.max(...values)].map(this.panel.text);
    return `${this.panel.title}, line chart of the last five minutes: ${this.value.textContent.trim()} now, between ${least} and ${most}`;
  }
}

/**
 * List what is not measured, with the reasons.
 * @param {Past} past
 */
function showUnmeasured(past) {
  /** @type {Map<string, string[]>} */
  const reasons = new Map();
  for (const [metric, reason] of Object.entries(past.unavailable))
    reasons.set(reason, [...(reasons.get(reason) ?? []), metric]);
  const shown = byId("unmeasured");
  const count = Object.keys(past.unavailable).length;
  const text = `Not measured on this device: ${plural(count, "kind")} of readings`;
  shown.hidden = count === 0;
  const summary = find(shown, "summary");
  if (summary.textContent === text) return;
  say(summary, text);
  const rows = [...reasons].map(([reason, metrics]) =>
    create("div", {}, create("dt", {}, metrics.join(", ")), create("dd", {}, reason)),
  );
  find(shown, "dl").replaceChildren(...rows);
}
