// What jobs and verdicts are called.

const VERDICTS = { ok: ["\u2713", "ok"], suspect: ["?", "suspect"], unreliable: ["\u26a0", "unreliable"] };
const STATES = {
  succeeded: ["\u2713", "done"], failed: ["\u2717", "failed"], cancelled: ["\u25a0", "cancelled"],
  interrupted: ["\u25a0", "interrupted"], running: ["\u25b6", "running"], queued: ["\u2026", "waiting"],
};

// [sign, word, tone]: never colour alone.
export const verdictWords = (verdict) => [...VERDICTS[verdict], verdict];
export const stateWords = (state) => [...STATES[state], state === "failed" ? "unreliable" : state === "succeeded" ? "ok" : "neutral"];

export function jobTitle(job) {
  const { name, kind, spec } = job.request;
  if (name) return name;
  return kind === "command" ? spec.argv.join(" ") : `${kind} of ${spec.model ?? "the default model"}`;
}

// What was asked for, in a few words.
export function jobDetail(job) {
  const { kind, spec, name } = job.request;
  if (kind === "command") return name ? spec.argv.join(" ") : "command";
  const parts = [
    name ? `${kind} of ${spec.model ?? "the default model"}` : null,
    spec.runtime, ["CPU", "AUTO"].includes(spec.device) ? null : spec.device,
    spec.threads ? `${spec.threads} thread${spec.threads === 1 ? "" : "s"}` : null,
    spec.streams > 1 ? `${spec.streams} streams` : null,
    spec.batch > 1 ? `batch ${spec.batch}` : null,
    spec.hint ? `for ${spec.hint}` : null,
    spec.kernels === "builtin" ? "built-in kernels" : null,
  ];
  return parts.filter(Boolean).join(", ");
}
