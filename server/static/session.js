/**
 * The way in: the one-time code behind the # of the address becomes a cookie that scripts cannot read.
 */

import { ask, post, Refusal, readJson, whenSessionEnds } from "./api.js";
import { byId } from "./dom.js";

/**
 * Give what this browser may do once the agent lets it in; show the gate until then.
 * @returns {Promise<Agent.Access>}
 */
export async function enter() {
  const code = takeCode();
  let complaint = "";
  if (code) complaint = await exchange(code);
  whenSessionEnds(() => {}); // who is not let in yet has no session to lose
  for (;;) {
    try {
      return await readJson("/v1/access");
    } catch (error) {
      if (!(error instanceof Refusal)) {
        complaint = "The agent does not answer. This page tries again when a code is entered.";
      } else if (error.status !== 401) {
        complaint = `${error.message}. ${error.hint}`;
      }
    }
    complaint = await exchange(await askForCode(complaint));
  }
}

/** From now on, take an answer that wants a token to mean that the session has ended: start over at the gate. */
export function watchSession() {
  whenSessionEnds(() => {
    sessionStorage.setItem("edgerun-ended", "1");
    location.reload();
  });
  addEventListener("hashchange", () => location.reload());
}

/** End the session. */
export async function signOut() {
  await ask("/v1/session", { method: "DELETE" });
  location.reload();
}

/** Take the code out of the address. */
function takeCode() {
  const code = location.hash.slice(1);
  // Out of the address at once, so that it stays in no history.
  if (code) history.replaceState(null, "", location.pathname);
  return code;
}

/**
 * Exchange a code for a session. Gives nothing when it was good, else why not.
 * @param {string} code
 */
async function exchange(code) {
  try {
    await post("/v1/session", JSON.stringify({ code }), "application/json");
    return "";
  } catch (error) {
    if (!(error instanceof Refusal)) return "The agent does not answer.";
    if (error.code === "session_code_refused") {
      return "This code opens nothing: it was used already, or it is too old. Each is good once, for a few minutes.";
    }
    return `${error.message}. ${error.hint}`;
  }
}

/**
 * Show the gate until somebody enters a code.
 * @param {string} complaint
 * @returns {Promise<string>}
 */
function askForCode(complaint) {
  const ended = sessionStorage.getItem("edgerun-ended");
  sessionStorage.removeItem("edgerun-ended");
  byId("gate-message").textContent = complaint || (ended ? "Your session has ended." : "");
  byId("gate").hidden = false;
  const field = byId("gate-code", HTMLInputElement);
  field.focus();
  return new Promise((resolve) => {
    byId("gate-form").onsubmit = (event) => {
      event.preventDefault();
      const typed = field.value.trim();
      field.value = "";
      resolve(typed.slice(typed.lastIndexOf("#") + 1)); // the whole address is fine too
    };
  });
}
