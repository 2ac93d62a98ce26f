import { create, find } from "./dom.js";

/**
 * Append a section with its heading to the page.
 * @param {string} id
 * @param {string} title
 */
export function appendSection(id, title) {
  const heading = create("h2", { id: `${id}-heading` }, title);
  const section = create("section", { id, "aria-labelledby": heading.id }, heading);
  find(document, "main").append(section);
  return section;
}
