// The job that runs: how far it is, and how fast, window by window.

import { read } from "./api.js";
import { whileSeen } from "./attention.js";
import { LineChart, niceCeiling } from "./chart.js";
import { byId, create } from "./dom.js";
import { say } from "./elements.js";
import { Stream } from "./events.js";
import { cancelJob } from "./jobs.js";
import { duration, milliseconds, perSecond, significant } from "./readings.js";
import { jobDetail, jobTitle } from "./words.js";

const WINDOWS_KEPT = 1800;
const IDLE_HINT = "Hand one in with client bench, client profile or client run; it shows here while it runs.";

export class Running {
  // `onEnd()` is called when the job has ended.
  constructor(onEnd) {
    this.onEnd = onEnd;
    this.job = null;
    byId("running-cancel").addEventListener("click", () => cancelJob(this.job));
    say(byId("running-hint"), IDLE_HINT);
    whileSeen(
      () => this.follow(),
      () => this.stream?.stop(),
    );
  }

  show(job) {
    if (job?.id === this.job?.id) return;
    this.stream?.stop();
    this.charts?.forEach((chart) => chart.dispose());
    Object.assign(this, { job, stream: null, charts: null, windows: [], pace: null });
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
    for (const node of document.querySelectorAll("#running-job .measured, #running-progress")) node.hidden = !measures;
    this.progress(job.progress);
    this.follow();
  }

  // Seconds that it measures, where it was asked for a time: the list does not tell.
  async readLength(job) {
    this.length = null;
    const whole = await read(`/v1/jobs/${job.id}`).catch(() => null);
    if (this.job === job) this.length = whole?.request.spec.duration_s;
  }

  follow() {
    const { job } = this;
    if (!job) return;
    this.windows = []; // they come again, from the first on
    this.stream = new Stream(`/v1/jobs/${job.id}/events`, {
      onEvent: (event) => this.take(event),
      isOver: (fault) => this.job !== job || fault?.status === 404,
    });
  }

  take({ name, data }) {
    if (name === "progress") this.progress(data);
    else if (name === "window") this.window(data);
    else if (name === "state" && data.ended_at) {
      this.show(null);
      this.onEnd();
    } else if (name === "state") this.progress(data.progress);
  }

  progress(progress) {
    const bar = byId("running-progress");
    if (progress?.total) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else bar.removeAttribute("value");
    say(byId("running-progress-text"), progress ? this.progressText(progress) : "starting");
    say(byId("running-fps"), perSecond(progress?.fps));
    say(byId("running-latency"), milliseconds(progress?.latency_p50_ms));
  }

  progressText({ phase, done, total, unit }) {
    if (phase !== "timed") return phase === "command" ? `running for ${duration(done)}` : phase;
    if (!total) return `${significant(done)} ${unit}`;
    const far = unit === "seconds" ? `${duration(done)} of ${duration(total)}` : `iteration ${done} of ${total}`;
    const left = unit === "seconds" ? Math.ceil(total - done) : this.left(done, total);
    return left === null ? far : `${far}, about ${duration(left)} left`;
  }

  // Seconds that are left at the pace since the first progress that was seen.
  left(done, total) {
    const now = performance.now() / 1000;
    this.pace ??= { now, done };
    const pace = (done - this.pace.done) / (now - this.pace.now);
    return pace > 0 ? Math.ceil((total - done) / pace) : null;
  }

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

  drawWindows() {
    const series = [
      { title: "Frames per second, by window", pick: (w) => w.fps, text: (v) => significant(v) },
      { title: "Median latency in ms, by window", pick: (w) => w.p50_ms, text: (v) => significant(v) },
    ];
    const end = this.length ?? niceCeiling(this.windows.at(-1).end_s);
    const seconds = (x) => `${significant(x, 2)} s`;
    const x = { min: 0, max: Math.max(end, this.windows.at(-1).end_s), text: seconds, exact: seconds };
    this.charts ??= series.map(({ title, text }) => windowChart(title, x, text));
    series.forEach(({ title, pick, text }, index) => {
      const points = this.windows.map((window) => [window.end_s, pick(window)]);
      const max = niceCeiling(Math.max(...points.map((point) => point[1])));
      this.charts[index].scale({ x, y: { min: 0, max, interval: max / 2, text, exact: text } });
      this.charts[index].draw([points], `${title}: ${points.length} windows, the newest ${text(points.at(-1)[1])}`);
    });
  }
}

function windowChart(title, x, text) {
  const plot = create("div", { class: "plot low" });
  byId("running-windows").append(
    create("section", { class: "panel", "aria-label": title }, create("h3", {}, title), plot),
  );
  return new LineChart(plot, { x, y: { min: 0, max: 1, interval: 0.5, text, exact: text }, lines: [title] });
}
