/**
 * Requests to the agent that served this page. The session's cookie goes along by itself.
 */

/** What the agent answered instead: its detail says what happened, its hint what to do. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {Partial<Agent.Problem>} problem
   */
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "unknown";
    this.hint = problem.hint || "";
  }
}

/** @type {() => void} */
let onSessionEnd = () => {};

/**
 * Call this whenever the agent does not know this browser (any more).
 * @param {() => void} callback
 */
export function whenSessionEnds(callback) {
  onSessionEnd = callback;
}

/**
 * Give the response of a request that was answered well or with 304; throws Refusal, or TypeError when nothing answers.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function ask(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  if (response.ok || response.status === 304) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) onSessionEnd();
  throw new Refusal(response.status, problem);
}

/**
 * Give what the agent answers as JSON. The caller says what it is: see the types of the agent.
 * @template T
 * @param {string} path
 * @returns {Promise<T>}
 */
export async function readJson(path) {
  return (await ask(path)).json();
}

/**
 * @param {string} path
 * @param {BodyInit | null} [body]
 * @param {string} [type] of the body
 */
export const post = (path, body = null, type = "") =>
  ask(path, { method: "POST", body, headers: type ? { "Content-Type": type } : {} });
