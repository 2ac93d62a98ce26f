// Server-sent events over fetch: unlike EventSource it says why a stream was refused, and waits longer each time.

import { ask, Refusal } from "./api.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

// The events of one connection as {name, id, data}, data parsed as JSON.
async function* eventsOf(path, lastId, signal) {
  const headers = lastId ? { "Last-Event-ID": lastId } : {};
  const response = await ask(path, { signal, headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  const event = { name: "message", id: null };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon < 1) continue; // a comment keeps the connection alive
    const [field, value] = [line.slice(0, colon), line.slice(colon + 2)];
    if (field === "data") data.push(value);
    else if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
  }
  if (!data.length) return null;
  event.data = JSON.parse(data.join("\n"));
  return event;
}

// A stream that is followed until `stop`, over broken connections. `isOver(error)` says when not to try again:
// error is null after a regular end.
export class Stream {
  constructor(path, { onEvent, onWait = () => {}, isOver = () => false }) {
    Object.assign(this, { path, onEvent, onWait, isOver });
    this.aborting = new AbortController();
    this.lastId = null;
    this.wake = () => {};
    this.follow();
  }

  stop() {
    this.aborting.abort();
    this.wake();
  }

  // Do not wait any longer for the next attempt.
  hurry() {
    this.wake();
  }

  async follow() {
    const { signal } = this.aborting;
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      let fault = null;
      try {
        for await (const event of eventsOf(this.path, this.lastId, signal)) {
          wait = FIRST_WAIT_MS;
          if (event.id) this.lastId = event.id;
          this.onEvent(event);
        }
      } catch (error) {
        fault = error;
      }
      if (signal.aborted || this.isOver(fault)) return;
      if (fault && !(fault instanceof Refusal) && fault.name !== "TypeError") console.error(fault);
      const jittered = wait * (0.8 + 0.4 * Math.random());
      this.onWait(jittered, fault instanceof Refusal ? fault : null);
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, jittered);
      });
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    }
  }
}
