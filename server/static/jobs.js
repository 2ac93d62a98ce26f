/**
 * The list of jobs: which one runs, which wait, how those that ended came out.
 */

import { disableWithout } from "./access.js";
import { ask, post, readJson } from "./api.js";
import { createBadge } from "./badge.js";
import { byId, create, find } from "./dom.js";
import { createButton, say } from "./elements.js";
import { ago, duration, moment } from "./readings.js";
import { showResult } from "./result.js";
import { jobDetail, jobTitle, stateWords, verdictWords } from "./words.js";

/** @typedef {Partial<Record<Agent.JobState, number>>} Counts */

const POLL_MS = 2000; // answered with 304 and no look at the list while nothing changed
const FAILED_MS = 5000;
const AGES_MS = 10000;
const ENDED_PAGE = 10;
const QUEUE_SHOWN = 20;
const READ_MAX = 500; // as many as the agent tells at once
/** @type {readonly Agent.JobState[]} */
const ENDED = ["succeeded", "failed", "cancelled", "interrupted"];

/** The lists of the page, kept up to date. */
export class Jobs {
  /**
   * @param {(job: Agent.JobSummary | null) => void} onRunning is called with the job that runs whenever the list has
   *   changed
   */
  constructor(onRunning) {
    this.onRunning = onRunning;
    /** @type {string | null} */
    this.tag = null;
    this.timer = 0;
    this.pages = 1;
    byId("jobs-older").addEventListener("click", () => this.showOlder());
    setInterval(showAges, AGES_MS);
    document.addEventListener("visibilitychange", () => this.poll());
    this.poll();
  }

  /** Ask now, and then again and again. */
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

  /** Ask for the list, and show it where it has changed. */
  async fetch() {
    const response = await ask("/v1/jobs?limit=1", { headers: this.tag ? { "If-None-Match": this.tag } : {} });
    if (response.status === 304) return;
    /** @type {{counts: Counts}} */
    const { counts } = await response.json();
    const [running, queued, ended] = await Promise.all([
      counts.running ? readJobs("state=running&limit=1") : [],
      counts.queued ? readJobs(`state=queued&limit=${READ_MAX}`) : [], // newest first: whose turn is next comes last
      this.ended(),
    ]);
    this.onRunning(running[0] ?? null);
    drawQueue(
      queued.sort((a, b) => turnOf(a) - turnOf(b)),
      counts.queued ?? 0,
      (job) => this.queuedRow(job),
    );
    this.drawEnded(ended, counts);
    this.tag = response.headers.get("etag"); // only now: whatever failed is asked for again
  }

  /** Ask for the newest jobs that have ended. */
  ended() {
    const states = ENDED.map((state) => `state=${state}`).join("&");
    return readJobs(`${states}&limit=${Math.min(READ_MAX, this.pages * ENDED_PAGE)}`);
  }

  /** Show more jobs that have ended. */
  async showOlder() {
    this.pages += 1;
    this.tag = null;
    await this.poll();
  }

  /**
   * @param {readonly Agent.JobSummary[]} jobs
   * @param {Counts} counts
   */
  drawEnded(jobs, counts) {
    const total = ENDED.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    byId("jobs-none").hidden = jobs.length > 0;
    byId("jobs-ended").hidden = jobs.length === 0;
    find(byId("jobs-ended"), "tbody").replaceChildren(...jobs.map(createEndedRow));
    byId("jobs-older").hidden = jobs.length >= Math.min(total, READ_MAX);
    showAges();
  }

  /** @param {Agent.JobSummary} job */
  queuedRow(job) {
    const cancel = createButton("Cancel", () => cancelJob(job).then(() => this.poll()), {
      "aria-label": `Cancel ${jobTitle(job)}`,
    });
    disableWithout([cancel], "run");
    return create(
      "tr",
      {},
      create("td", {}, String(turnOf(job) + 1)),
      createNameCell(job),
      createAgeCell(job.created_at),
      create("td", {}, cancel),
    );
  }
}

/** @param {string} query */
async function readJobs(query) {
  /** @type {Agent.JobList} */
  const { jobs } = await readJson(`/v1/jobs?${query}`);
  return jobs;
}

/** @param {Agent.JobSummary} job that waits */
const turnOf = (job) => job.position ?? 0;

/**
 * @param {readonly Agent.JobSummary[]} jobs
 * @param {number} waiting how many there are in all
 * @param {(job: Agent.JobSummary) => Node} row
 */
function drawQueue(jobs, waiting, row) {
  const shown = jobs.slice(0, QUEUE_SHOWN);
  byId("jobs-queue").hidden = waiting === 0;
  say(
    byId("queue-heading"),
    waiting > shown.length ? `Waiting: ${waiting}, the next ${shown.length} of them` : `Waiting: ${waiting}`,
  );
  find(byId("jobs-queue"), "tbody").replaceChildren(...shown.map(row));
}

/**
 * Cancel a job. Asks first; ends when the agent was told, or at once when it shall go on.
 * @param {Agent.JobSummary} job
 */
export async function cancelJob(job) {
  const dialog = byId("confirm", HTMLDialogElement);
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

/** @param {Agent.JobSummary} job */
function createEndedRow(job) {
  const open = createButton(jobTitle(job), () => showResult(job), { class: "link", title: "Show its result" });
  const took =
    job.started_at && job.ended_at ? duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000) : null;
  const outcome = create("td", {}, createBadge(stateWords(job.state)));
  const verdict = create("td", {}, job.verdict ? createBadge(verdictWords(job.verdict)) : null);
  return create(
    "tr",
    {},
    createNameCell(job, open),
    outcome,
    verdict,
    create("td", { class: "number" }, took),
    createAgeCell(job.ended_at),
  );
}

/**
 * @param {Agent.JobSummary} job
 * @param {string | Node} [title]
 */
function createNameCell(job, title = jobTitle(job)) {
  return create("td", { class: "job" }, title, create("div", { class: "quiet" }, jobDetail(job)));
}

/** @param {string | null} time */
const createAgeCell = (time) => create("td", { class: "quiet nowrap", "data-time": time, title: moment(time ?? 0) });

/** Say anew how long ago everything was. */
function showAges() {
  for (const cell of document.querySelectorAll("[data-time]"))
    say(cell, ago(Date.parse(cell.getAttribute("data-time") ?? ""), Date.now()));
}
