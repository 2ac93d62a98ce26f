/**
 * What this browser may do: the scopes of the token that its session was opened with. The agent refuses the rest; the
 * page says so beforehand.
 */

import { byId } from "./dom.js";
import { say } from "./elements.js";

/** @type {Agent.Access | null} */
let known = null;

/** @type {Record<Agent.Scope, string>} */
const NOT = {
  read: "sensors, jobs and results are not shown",
  infer: "no pictures are classified",
  run: "jobs cannot be cancelled",
  admin: "",
};

/**
 * Take note of what this browser may do, and say in the head of the page what it may not.
 * @param {Agent.Access} access
 */
export function learnAccess(access) {
  known = access;
  const scopes = /** @type {Agent.Scope[]} */ (Object.keys(NOT));
  const missing = scopes.filter((scope) => NOT[scope] && !access.scopes.includes(scope));
  const line = byId("access");
  line.hidden = missing.length === 0;
  const not = missing.map((scope) => NOT[scope]).join("; ");
  say(line, `The token ${access.token} is for ${access.scopes.join(", ")}: ${not}.`);
}

/**
 * Tell whether something may be asked for.
 * @param {Agent.Scope} scope that it needs
 */
export const may = (scope) => known?.scopes.includes(scope) ?? false;

/**
 * Say why something may not be asked for.
 * @param {Agent.Scope} scope that it needs
 */
export const whyNot = (scope) => `This needs the scope ${scope}, which the token ${known?.token} has not`;

/**
 * Disable controls that would be refused, and say why.
 * @param {Iterable<Element>} controls
 * @param {Agent.Scope} scope that they need
 */
export function disableWithout(controls, scope) {
  if (may(scope)) return;
  for (const control of controls) {
    control.setAttribute("disabled", "");
    control.setAttribute("title", whyNot(scope));
  }
}
