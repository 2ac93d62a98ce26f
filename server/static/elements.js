/**
 * Elements as the live page uses them.
 */

import { create } from "./dom.js";

/**
 * Create a button.
 * @param {string} text
 * @param {() => unknown} onClick
 * @param {Record<string, string>} [attributes]
 */
export function createButton(text, onClick, attributes = {}) {
  return create("button", { type: "button", onclick: onClick, ...attributes }, text);
}

/**
 * Show a text in an element. One that is there already would be read out again, and would lose a selection.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @typedef {[term: string, description: Node | string | null | undefined]} Definition */

/**
 * Create a list of terms with their descriptions; those without one are left out.
 * @param {readonly Definition[]} pairs
 */
export function createDefinitions(pairs) {
  const list = create("dl");
  for (const [term, description] of pairs) {
    if (description === null || description === undefined || description === "") continue;
    list.append(create("div", {}, create("dt", {}, term), create("dd", {}, description)));
  }
  return list;
}
