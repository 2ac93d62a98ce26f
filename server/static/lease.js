/**
 * How long the device is ours: counted down, where the agent was told that it ends.
 */

import { may } from "./access.js";
import { readJson } from "./api.js";
import { byId } from "./dom.js";
import { say } from "./elements.js";
import { duration } from "./readings.js";

const ASK_MS = 30_000; // somebody may have extended it
const COUNT_MS = 1000;
const SOON_S = 15 * 60;

/** Keep the line about the lease true. */
export function watchLease() {
  /** @type {number | null} when it ends, by the clock of this page */
  let endMs = null;

  async function askAgent() {
    if (document.hidden || !(may("read") || may("run"))) return;
    try {
      /** @type {Agent.LeaseTime} */
      const { left_s } = await readJson("/v1/lease");
      endMs = left_s === null ? null : performance.now() + 1000 * left_s;
    } catch {
      return; // the status line says that nothing answers
    }
    count();
  }

  function count() {
    const line = byId("lease");
    line.hidden = endMs === null;
    if (endMs === null) return;
    const leftS = Math.max(0, (endMs - performance.now()) / 1000);
    line.dataset.soon = String(leftS < SOON_S);
    say(line, leftS > 0 ? `lease ends in ${duration(leftS)}` : "lease has ended");
  }

  document.addEventListener("visibilitychange", askAgent);
  setInterval(askAgent, ASK_MS);
  setInterval(count, COUNT_MS);
  askAgent();
}
