/**
 * A sign and a word in a colour.
 */

import { create } from "./dom.js";

/**
 * Create a badge.
 * @param {import("./words.js").Words} words
 */
export function createBadge([sign, word, tone]) {
  return create("span", { class: `badge ${tone}` }, create("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}
