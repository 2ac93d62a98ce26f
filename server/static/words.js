/**
 * What jobs and verdicts are called.
 */

/**
 * A sign, a word and its tone: never colour alone.
 * @typedef {[sign: string, word: string, tone: string]} Words
 */

/** @type {Record<Agent.Verdict, [sign: string, word: string]>} */
const VERDICTS = { ok: ["\u2713", "ok"], suspect: ["?", "suspect"], unreliable: ["\u26a0", "unreliable"] };
/** @type {Record<Agent.JobState, [sign: string, word: string]>} */
const STATES = {
  succeeded: ["\u2713", "done"],
  failed: ["\u2717", "failed"],
  cancelled: ["\u25a0", "cancelled"],
  interrupted: ["\u25a0", "interrupted"],
  running: ["\u25b6", "running"],
  queued: ["\u2026", "waiting"],
};

/**
 * @param {Agent.Verdict} verdict
 * @returns {Words}
 */
export const verdictWords = (verdict) => [...VERDICTS[verdict], verdict];
/**
 * @param {Agent.JobState} state
 * @returns {Words}
 */
export const stateWords = (state) => [
  ...STATES[state],
  state === "failed" ? "unreliable" : state === "succeeded" ? "ok" : "neutral",
];

/** @param {Agent.JobSummary} job */
export function jobTitle(job) {
  return job.name ?? job.title;
}

/**
 * Say what a job does, beside its title.
 * @param {Agent.JobSummary} job
 */
export const jobDetail = (job) => (job.name ? `${job.kind}: ${job.title}` : job.kind);
