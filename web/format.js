/**
 * What both pages need to write numbers.
 */

/**
 * A count with its word, in the plural where that is right.
 * @param {number} count
 * @param {string} word
 */
export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/**
 * Round up to the next larger step that people count in: a factor times a power of ten.
 * @param {number} value above zero
 * @param {readonly number[]} factors from the smallest to the largest, the last one 10
 */
export function roundUp(value, factors) {
  const power = 10 ** Math.floor(Math.log10(value));
  return factors.map((factor) => factor * power).find((step) => step >= value) ?? value;
}

/**
 * Whether there is a value at all.
 * @template T
 * @param {T} value
 * @returns {value is NonNullable<T>}
 */
export function isKnown(value) {
  return value !== null && value !== undefined;
}
