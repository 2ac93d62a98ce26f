// A sign and a word in a colour.

import { element } from "./dom.js";

export function badge([sign, word, tone]) {
  return element("span", { class: `badge ${tone}` }, element("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}
