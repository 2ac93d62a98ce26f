// The sensors: one stream in, a chart a panel out, greyed when nothing comes any more.

import { throttling } from "./alarm.js";
import { whileSeen } from "./attention.js";
import { LineChart } from "./chart.js";
import { byId, create } from "./dom.js";
import { say } from "./elements.js";
import { Stream } from "./events.js";
import { PANELS } from "./panels.js";
import { KEPT_S, known, Past } from "./past.js";
import { duration } from "./readings.js";

const STALE_BEATS = 3;
const WATCH_MS = 250;
const X_AXIS = {
  min: -KEPT_S,
  max: 0,
  interval: 60,
  text: (x) => (x === 0 ? "now" : `${x / 60} min`),
  exact: (x) => (x === 0 ? "now" : `${duration(-x)} ago`),
};

export class Telemetry {
  // `onSample(throttling)` is called with each sample that is shown.
  constructor(onSample) {
    this.onSample = onSample;
    this.past = new Past();
    this.panels = PANELS.map((panel) => new Panel(panel, byId("panels")));
    this.paused = false;
    this.heard = performance.now();
    this.waitsUntil = null;
    this.refusal = null;
    byId("pause").addEventListener("click", () => this.pause(!this.paused));
    document.addEventListener("visibilitychange", () => this.seen());
    whileSeen(
      () => this.connect(),
      () => this.stream.stop(),
    );
    setInterval(() => this.watch(), WATCH_MS);
    this.connect();
  }

  connect() {
    this.stream = new Stream(`/v1/telemetry/stream?past_s=${KEPT_S}`, {
      onEvent: (event) => this.take(event),
      onWait: (ms, refusal) => {
        this.waitsUntil = performance.now() + ms;
        this.refusal = refusal;
      },
    });
  }

  take({ name, data }) {
    if (name === "past") data.forEach((sample) => this.past.take(sample));
    if (name !== "sample") return;
    this.past.take(data);
    this.heard = performance.now();
    this.waitsUntil = this.refusal = null;
    if (!this.paused && !document.hidden) this.draw();
    this.onSample(throttling(this.past));
    this.watch();
  }

  draw() {
    this.panels.forEach((panel) => panel.draw(this.past));
    showUnmeasured(this.past);
  }

  pause(paused) {
    this.paused = paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    say(byId("pause"), paused ? "Resume" : "Pause");
    if (!paused && this.past.samples.length) this.draw();
    this.watch();
  }

  seen() {
    if (document.hidden) return;
    this.stream.hurry();
    if (!this.paused && this.past.samples.length) this.draw();
  }

  // What the status line says, and whether what is shown is still the present.
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

class Panel {
  constructor(panel, parent) {
    this.panel = panel;
    this.highest = 0;
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

  draw(past) {
    const lines = this.panel.lines(past);
    this.root.hidden = !lines.length && !this.panel.always;
    this.plot.hidden = !lines.length;
    this.missing.hidden = lines.length > 0;
    this.root.classList.toggle("without", lines.length === 0);
    if (!lines.length) {
      const reason = past.unavailable[this.panel.metrics[0]];
      this.values.forEach((value) => say(value, ""));
      say(this.note, "");
      say(this.missing, reason ? `Not measured: ${reason}` : "No value yet");
      return;
    }
    const data = lines.map((valueAt) => past.points(valueAt));
    const newest = data.map((points) => points.at(-1)[1]);
    newest.forEach((value, i) =>
      say(this.values[i], [this.panel.names?.[i], this.panel.text(value)].filter(Boolean).join(" ")),
    );
    say(this.note, this.panel.note?.(past) ?? "");
    this.plotLines(past, data);
  }

  plotLines(past, data) {
    const values = data
      .flat()
      .map((point) => point[1])
      .filter(known);
    this.highest = Math.max(this.highest, ...values);
    const y = this.panel.axis(past, this.highest);
    const at = this.panel.trip?.(past) ?? null;
    const trip = at === null ? null : { value: at, text: `slowed down from ${this.panel.text(at)}` };
    const names = this.panel.names ?? [this.panel.title];
    this.chart ??= new LineChart(this.plot, { x: X_AXIS, y, lines: names, trip });
    this.chart.scale({ y, trip });
    this.chart.draw(data, this.summary(values));
  }

  summary(values) {
    if (!values.length) return `${this.panel.title}: no values`;
    const [least, most] = [Math.min(...values), Math.max(...values)].map(this.panel.text);
    return `${this.panel.title}, line chart of the last five minutes: ${this.value.textContent.trim()} now, between ${least} and ${most}`;
  }
}

function showUnmeasured(past) {
  const reasons = new Map();
  for (const [metric, reason] of Object.entries(past.unavailable))
    reasons.set(reason, [...(reasons.get(reason) ?? []), metric]);
  const shown = byId("unmeasured");
  const count = Object.keys(past.unavailable).length;
  const text = `Not measured on this device: ${count} kind${count === 1 ? "" : "s"} of readings`;
  shown.hidden = count === 0;
  if (shown.firstElementChild.textContent === text) return;
  say(shown.firstElementChild, text);
  const rows = [...reasons].map(([reason, metrics]) =>
    create("div", {}, create("dt", {}, metrics.join(", ")), create("dd", {}, reason)),
  );
  shown.lastElementChild.replaceChildren(...rows);
}
