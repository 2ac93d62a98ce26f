/**
 * Colours of the style sheet, for what is drawn and not styled.
 */

/**
 * Read a colour as it is now: dark mode and print change it.
 * @param {string} name of the style sheet's property, without its dashes
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Call a listener when the system changes between light and dark.
 * @param {() => void} listener
 */
export function onSchemeChange(listener) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
}
