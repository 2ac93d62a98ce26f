// What jobs and verdicts are called.

const VERDICTS = { ok: ["\u2713", "ok"], suspect: ["?", "suspect"], unreliable: ["\u26a0", "unreliable"] };
const STATES = {
  succeeded: ["\u2713", "done"],
  failed: ["\u2717", "failed"],
  cancelled: ["\u25a0", "cancelled"],
  interrupted: ["\u25a0", "interrupted"],
  running: ["\u25b6", "running"],
  queued: ["\u2026", "waiting"],
};

// [sign, word, tone]: never colour alone.
export const verdictWords = (verdict) => [...VERDICTS[verdict], verdict];
export const stateWords = (state) => [
  ...STATES[state],
  state === "failed" ? "unreliable" : state === "succeeded" ? "ok" : "neutral",
];

export function jobTitle(job) {
  return job.name ?? job.title;
}

// What it does, beside its title.
export const jobDetail = (job) => (job.name ? `${job.kind}: ${job.title}` : job.kind);
