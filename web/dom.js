/**
 * Elements made by hand. Texts from outside become text nodes: no name is ever parsed as markup.
 */

import { isKnown } from "./format.js";

/**
 * What an attribute may be given: `true` sets it without a value, `false`, null and undefined leave it out.
 * A function listens to the event that an attribute `on...` names.
 * @typedef {string | number | boolean | null | undefined | ((event: Event) => unknown)} AttributeValue
 */

/** @typedef {Node | string | null | undefined} Child */

/**
 * Create an element with attributes and children. Children may be lists; those that are null or undefined are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, AttributeValue>} attributes
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function create(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") created.addEventListener(name.slice("on".length), value);
    else if (value === true) created.setAttribute(name, "");
    else if (isKnown(value) && value !== false) created.setAttribute(name, String(value));
  }
  created.append(...children.flat().filter(isKnown));
  return created;
}

/**
 * Find the element that has this id, and is of this kind. A page that lacks it is broken: that throws.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @param {new () => Kind} [kind]
 * @returns {Kind}
 */
export function byId(id, kind) {
  return expectElement(document.getElementById(id), kind, `#${id}`);
}

/**
 * Find the first element that a selector names, as `byId` does.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {ParentNode} parent
 * @param {string} selector
 * @param {new () => Kind} [kind]
 * @returns {Kind}
 */
export function find(parent, selector, kind) {
  return expectElement(parent.querySelector(selector), kind, selector);
}

/**
 * The element that an event is for, as `byId` gives elements.
 * @template {HTMLElement} Kind
 * @param {Event} event
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function targetOf(event, kind) {
  return expectElement(event.target, kind, `that had a ${event.type}`);
}

/**
 * Whether the box that an event is for is checked.
 * @param {Event} event
 */
export function isChecked(event) {
  return targetOf(event, HTMLInputElement).checked;
}

/**
 * The element itself, once it is sure to be there and of its kind.
 * @template {HTMLElement} Kind
 * @param {EventTarget | null} found
 * @param {(new () => Kind) | undefined} kind
 * @param {string} what how it was looked for, for the message
 * @returns {Kind}
 */
function expectElement(found, kind, what) {
  const wanted = kind ?? HTMLElement;
  if (found instanceof wanted) return /** @type {Kind} */ (found);
  throw new TypeError(`The page has no ${wanted.name} ${what}`);
}
