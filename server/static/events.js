/**
 * Server-sent events over fetch: unlike EventSource it says why a stream was refused, and waits longer each time.
 */

import { ask, Refusal } from "./api.js";

/**
 * An event. Its data are what the agent sends under this name: whoever takes it says what that is.
 * @typedef {{name: string, id: string | null, data: unknown}} StreamEvent
 */

/**
 * @typedef {object} Listeners
 * @property {(event: StreamEvent) => void} onEvent
 * @property {(ms: number, refusal: Refusal | null) => void} [onWait] is called before each wait for the next attempt
 * @property {(error: unknown) => boolean} [isOver] says when not to try again: the error is null after a regular end
 */

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

/**
 * Give the events of one connection, their data parsed as JSON.
 * @param {string} path
 * @param {string | null} lastId
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<StreamEvent>}
 */
async function* readEvents(path, lastId, signal) {
  /** @type {Record<string, string>} */
  const headers = lastId ? { "Last-Event-ID": lastId } : {};
  const response = await ask(path, { signal, headers });
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

/**
 * @param {string} block
 * @returns {StreamEvent | null}
 */
function parse(block) {
  let name = "message";
  /** @type {string | null} */
  let id = null;
  /** @type {string[]} */
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon < 1) continue; // a comment keeps the connection alive
    const [field, value] = [line.slice(0, colon), line.slice(colon + 2)];
    if (field === "data") data.push(value);
    else if (field === "event") name = value;
    else if (field === "id") id = value;
  }
  if (!data.length) return null;
  return { name, id, data: JSON.parse(data.join("\n")) };
}

/** A stream that is followed until `stop`, over broken connections. */
export class Stream {
  /**
   * @param {string} path
   * @param {Listeners} listeners
   */
  constructor(path, { onEvent, onWait = () => {}, isOver = () => false }) {
    this.path = path;
    this.onEvent = onEvent;
    this.onWait = onWait;
    this.isOver = isOver;
    this.aborting = new AbortController();
    /** @type {string | null} */
    this.lastId = null;
    /** @type {() => void} */
    this.wake = () => {};
    this.follow();
  }

  /** Follow it no longer. */
  stop() {
    this.aborting.abort();
    this.wake();
  }

  /** Do not wait any longer for the next attempt. */
  hurry() {
    this.wake();
  }

  /** Follow it until it is stopped or over. */
  async follow() {
    const { signal } = this.aborting;
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      /** @type {unknown} */
      let fault = null;
      try {
        for await (const event of readEvents(this.path, this.lastId, signal)) {
          wait = FIRST_WAIT_MS;
          if (event.id) this.lastId = event.id;
          this.onEvent(event);
        }
      } catch (error) {
        fault = error;
      }
      if (signal.aborted || this.isOver(fault)) return;
      if (fault && !(fault instanceof Refusal) && !(fault instanceof TypeError)) console.error(fault);
      const jittered = wait * (0.8 + 0.4 * Math.random());
      this.onWait(jittered, fault instanceof Refusal ? fault : null);
      await new Promise((resolve) => {
        this.wake = () => resolve(undefined);
        setTimeout(resolve, jittered);
      });
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    }
  }
}
