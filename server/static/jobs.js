// The list of jobs: which one runs, which wait, how those that ended came out.

import { ask, post, read } from "./api.js";
import { badge } from "./badge.js";
import { button, byId, element, say } from "./dom.js";
import { ago, duration, moment } from "./format.js";
import { showResult } from "./result.js";
import { jobDetail, jobTitle, stateWords, verdictWords } from "./words.js";

const POLL_MS = 2000; // answered with 304 and no look at the list while nothing changed
const FAILED_MS = 5000;
const PAGE = 20;
const ENDED_SHOWN = 10;
const AGES_MS = 10000;

export class Jobs {
  // `onRunning(job or null)` is called whenever another job runs, or none.
  constructor(onRunning) {
    this.onRunning = onRunning;
    this.tag = null;
    this.list = { jobs: [], counts: {}, next: null };
    this.older = [];
    this.shown = ENDED_SHOWN;
    byId("jobs-older").addEventListener("click", () => this.showOlder());
    setInterval(() => showAges(), AGES_MS);
    document.addEventListener("visibilitychange", () => this.poll());
    this.poll();
  }

  async poll() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    let wait = POLL_MS;
    try {
      await this.fetch();
    } catch {
      wait = FAILED_MS; // the status line says that nothing answers
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), wait);
  }

  async fetch() {
    const response = await ask(`/v1/jobs?limit=${PAGE}`, { headers: this.tag ? { "If-None-Match": this.tag } : {} });
    if (response.status === 304) return;
    this.tag = response.headers.get("etag");
    this.list = await response.json();
    const ids = new Set(this.list.jobs.map((job) => job.id));
    this.older = this.older.filter((job) => !ids.has(job.id));
    this.draw();
    this.onRunning(this.list.jobs.find((job) => job.state === "running") ?? null);
  }

  draw() {
    const queued = this.list.jobs.filter((job) => job.state === "queued").sort((a, b) => a.position - b.position);
    const waiting = this.list.counts.queued ?? 0;
    byId("jobs-queue").hidden = waiting === 0;
    say(byId("queue-heading"), waiting > queued.length ? `Waiting: ${waiting}, the newest of them` : `Waiting: ${waiting}`);
    byId("jobs-queue").querySelector("tbody").replaceChildren(...queued.map((job) => this.queuedRow(job)));

    const ended = [...this.list.jobs, ...this.older]
      .filter((job) => job.ended_at)
      .sort((a, b) => Date.parse(b.ended_at) - Date.parse(a.ended_at))
      .slice(0, this.shown);
    byId("jobs-none").hidden = ended.length > 0;
    byId("jobs-ended").hidden = ended.length === 0;
    byId("jobs-ended").querySelector("tbody").replaceChildren(...ended.map(endedRow));
    const total = ["succeeded", "failed", "cancelled", "interrupted"].reduce((sum, state) => sum + (this.list.counts[state] ?? 0), 0);
    byId("jobs-older").hidden = ended.length >= total;
    showAges();
  }

  async showOlder() {
    this.shown += PAGE;
    const oldest = (this.older.at(-1) ?? this.list.jobs.at(-1)).number;
    const page = await read(`/v1/jobs?limit=${PAGE}&before=${oldest}`);
    this.older.push(...page.jobs);
    this.draw();
  }

  queuedRow(job) {
    const cancel = button("Cancel", () => cancelJob(job).then(() => this.poll()), { "aria-label": `Cancel ${jobTitle(job)}` });
    return element("tr", {}, element("td", {}, String(job.position + 1)), nameCell(job), ageCell(job.created_at), element("td", {}, cancel));
  }
}

// Asks first; gives when the agent was told, or at once when it shall go on.
export async function cancelJob(job) {
  const dialog = byId("confirm");
  say(byId("confirm-heading"), `Cancel ${jobTitle(job)}?`);
  const yes = await new Promise((resolve) => {
    byId("confirm-yes").onclick = () => resolve(true);
    byId("confirm-no").onclick = dialog.oncancel = () => resolve(false);
    dialog.showModal();
    byId("confirm-no").focus();
  });
  dialog.close();
  if (yes) await post(`/v1/jobs/${job.id}/cancel`);
}

function endedRow(job) {
  const open = button(jobTitle(job), () => showResult(job), { class: "link", title: "Show its result" });
  const took = job.started_at ? duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000) : null;
  const outcome = element("td", {}, badge(stateWords(job.state)));
  const verdict = element("td", {}, job.verdict ? badge(verdictWords(job.verdict)) : null);
  return element("tr", {}, nameCell(job, open), outcome, verdict, element("td", { class: "number" }, took), ageCell(job.ended_at));
}

function nameCell(job, title = jobTitle(job)) {
  return element("td", { class: "job" }, title, element("div", { class: "quiet" }, jobDetail(job)));
}

const ageCell = (time) => element("td", { class: "quiet nowrap", "data-time": time, title: moment(time) });

function showAges() {
  for (const cell of document.querySelectorAll("[data-time]")) say(cell, ago(Date.parse(cell.dataset.time), Date.now()));
}
