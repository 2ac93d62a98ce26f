// Requests to the agent that served this page. The session's cookie goes along by itself.

// What the agent answered instead: its detail says what happened, its hint what to do.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "unknown";
    this.hint = problem.hint || "";
  }
}

let onSessionEnd = () => {};

// Called whenever the agent does not know this browser (any more).
export function whenSessionEnds(callback) {
  onSessionEnd = callback;
}

// The response of a request that was answered well or with 304; throws Refusal, or TypeError when nothing answers.
export async function ask(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  if (response.ok || response.status === 304) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) onSessionEnd();
  throw new Refusal(response.status, problem);
}

export const read = async (path, options) => (await ask(path, options)).json();
export const post = (path, body, type) =>
  ask(path, { method: "POST", body, headers: type ? { "Content-Type": type } : {} });
