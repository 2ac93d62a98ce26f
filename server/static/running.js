/**
 * The job that runs: how far it is, and how fast, window by window.
 */

import { disableWithout } from "./access.js";
import { Refusal, readJson } from "./api.js";
import { whileSeen } from "./attention.js";
import { LineChart, niceCeiling } from "./chart.js";
import { byId, create } from "./dom.js";
import { say } from "./elements.js";
import { Stream } from "./events.js";
import { cancelJob } from "./jobs.js";
import { duration, milliseconds, perSecond, significant } from "./readings.js";
import { jobDetail, jobTitle } from "./words.js";

const WINDOWS_KEPT = 1800;
const IDLE_HINT = "Submit one with client bench, client profile or client run; it shows here while it runs.";

/** The part of the page that shows the running job. */
export class Running {
  /**
   * @param {() => void} onEnd is called when the job has ended
   */
  constructor(onEnd) {
    this.onEnd = onEnd;
    /** @type {Agent.JobSummary | null} */
    this.job = null;
    /** @type {Stream | null} */
    this.stream = null;
    /** @type {LineChart[] | null} */
    this.charts = null;
    /** @type {Agent.Window[]} */
    this.windows = [];
    /** @type {{now: number, done: number} | null} */
    this.pace = null;
    /** @type {number | null} */
    this.length = null;
    this.drawing = false;
    byId("running-cancel").addEventListener("click", () => this.job && cancelJob(this.job));
    disableWithout([byId("running-cancel")], "run");
    say(byId("running-hint"), IDLE_HINT);
    whileSeen(
      () => this.follow(),
      () => this.stream?.stop(),
    );
  }

  /**
   * Show this job; null when none runs.
   * @param {Agent.JobSummary | null} job
   */
  show(job) {
    if (job?.id === this.job?.id) return;
    this.stream?.stop();
    for (const chart of this.charts ?? []) chart.dispose();
    this.job = job;
    this.stream = null;
    this.charts = null;
    this.windows = [];
    this.pace = null;
    byId("running-job").hidden = job === null;
    byId("running-hint").hidden = job !== null;
    byId("running-windows").replaceChildren();
    say(byId("running-heading"), job ? "Job in progress" : "No job is running");
    byId("running-heading").className = job ? "unseen" : "";
    if (job === null) return;
    this.readLength(job);
    say(byId("running-kind"), `Running ${job.kind}`);
    byId("running-name").replaceChildren(jobTitle(job), create("span", { class: "quiet" }, ` ${jobDetail(job)}`));
    const measures = job.kind !== "command"; // a program tells neither how far nor how fast it is
    for (const node of document.querySelectorAll("#running-job .measured, #running-progress"))
      node.toggleAttribute("hidden", !measures);
    this.progress(job.progress);
    this.follow();
  }

  /**
   * Ask for how many seconds it measures, where it was asked for a time: the list does not tell.
   * @param {Agent.JobSummary} job
   */
  async readLength(job) {
    this.length = null;
    /** @type {Agent.Job | null} */
    const whole = await readJson(`/v1/jobs/${job.id}`).catch(() => null);
    const spec = whole?.request.spec;
    if (this.job === job) this.length = spec && "duration_s" in spec ? spec.duration_s : null;
  }

  /** Follow what happens in the job. */
  follow() {
    const { job } = this;
    if (!job) return;
    this.windows = []; // they come again, from the first on
    this.stream = new Stream(`/v1/jobs/${job.id}/events`, {
      onEvent: (event) => this.take(event),
      isOver: (fault) => this.job !== job || (fault instanceof Refusal && fault.status === 404),
    });
  }

  /**
   * Take an event.
   * @param {import("./events.js").StreamEvent} event
   */
  take({ name, data }) {
    if (name === "progress") this.progress(/** @type {Agent.Progress} */ (data));
    else if (name === "window") this.window(/** @type {Agent.Window} */ (data));
    else if (name === "state") this.takeState(/** @type {Agent.Job} */ (data));
  }

  /** @param {Agent.Job} job */
  takeState(job) {
    if (!job.ended_at) return this.progress(job.progress);
    this.show(null);
    this.onEnd();
  }

  /**
   * Show how far it is.
   * @param {Agent.Progress | null} progress
   */
  progress(progress) {
    const bar = byId("running-progress", HTMLProgressElement);
    if (progress?.total) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else bar.removeAttribute("value");
    say(byId("running-progress-text"), progress ? this.progressText(progress) : "starting");
    say(byId("running-fps"), perSecond(progress?.fps));
    say(byId("running-latency"), milliseconds(progress?.latency_p50_ms));
  }

  /** @param {Agent.Progress} progress */
  progressText({ phase, done, total, unit }) {
    if (phase !== "timed") return phase === "command" ? `running for ${duration(done)}` : phase;
    if (!total) return `${significant(done)} ${unit}`;
    const far = unit === "seconds" ? `${duration(done)} of ${duration(total)}` : `iteration ${done} of ${total}`;
    const left = unit === "seconds" ? Math.ceil(total - done) : this.left(done, total);
    return left === null ? far : `${far}, about ${duration(left)} left`;
  }

  /**
   * Seconds that are left at the pace since the first progress that was seen.
   * @param {number} done
   * @param {number} total
   */
  left(done, total) {
    const now = performance.now() / 1000;
    this.pace ??= { now, done };
    const pace = (done - this.pace.done) / (now - this.pace.now);
    return pace > 0 ? Math.ceil((total - done) / pace) : null;
  }

  /**
   * Take a window.
   * @param {Agent.Window} window
   */
  window(window) {
    this.windows.push(window);
    if (this.windows.length > WINDOWS_KEPT) this.windows.shift();
    if (this.drawing) return; // what comes at once, as after a reload, is drawn once
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (this.job && this.windows.length) this.drawWindows();
    });
  }

  /** Draw the windows that came. */
  drawWindows() {
    /** @type {readonly {title: string, pick: (window: Agent.Window) => number, text: (value: number) => string}[]} */
    const series = [
      { title: "Frames per second, by window", pick: (w) => w.fps, text: (v) => significant(v) },
      { title: "Median latency in ms, by window", pick: (w) => w.p50_ms, text: (v) => significant(v) },
    ];
    const newest = this.windows[this.windows.length - 1];
    const end = this.length ?? niceCeiling(newest.end_s);
    /** @param {number} x */
    const seconds = (x) => `${significant(x, 2)} s`;
    const x = { min: 0, max: Math.max(end, newest.end_s), text: seconds, exact: seconds };
    const charts = this.charts ?? series.map(({ title, text }) => createWindowChart(title, x, text));
    this.charts = charts;
    series.forEach(({ title, pick, text }, index) => {
      const values = this.windows.map(pick);
      const max = niceCeiling(Math.max(...values));
      /** @type {import("./past.js").Point[]} */
      const points = this.windows.map((window, n) => [window.end_s, values[n]]);
      charts[index].scale({ x, y: { min: 0, max, interval: max / 2, text, exact: text } });
      charts[index].draw([points], `${title}: ${points.length} windows, the newest ${text(pick(newest))}`);
    });
  }
}

/**
 * Create a chart of windows.
 * @param {string} title
 * @param {import("./chart.js").Axis} x
 * @param {(value: number) => string} text
 */
function createWindowChart(title, x, text) {
  const plot = create("div", { class: "plot low" });
  byId("running-windows").append(
    create("section", { class: "panel", "aria-label": title }, create("h3", {}, title), plot),
  );
  return new LineChart(plot, { x, y: { min: 0, max: 1, interval: 0.5, text, exact: text }, lines: [title] });
}
