/**
 * The samples of the last minutes, and what can be read off them.
 */

import { isKnown } from "./format.js";

/**
 * A sample, with its time in milliseconds by the agent's clock.
 * @typedef {{time: number, t_s: number, values: Record<string, number | null>}} Sample
 */

/**
 * Seconds before the newest sample, and a value.
 * @typedef {[x: number, y: number | null]} Point
 */

/**
 * What gives the value at the index of a sample.
 * @typedef {(index: number) => number | null} ValueAt
 */

export const KEPT_S = 300;
const GAP_BEATS = 3;

/** The samples of the last minutes. */
export class Past {
  constructor() {
    /** @type {Sample[]} */
    this.samples = [];
    /** @type {Record<string, Agent.SeriesInfo>} */
    this.info = {};
    /** @type {Record<string, string>} */
    this.unavailable = {};
    this.interval_s = 1;
  }

  /**
   * Take a sample that the agent sent.
   * @param {Agent.TelemetrySample} sample
   */
  take(sample) {
    const time = Date.parse(sample.at);
    const newest = this.samples.at(-1);
    if (Object.keys(sample.info).length) this.info = sample.info;
    // An agent whose clock was set, or a past that was sent twice: only what is newer counts.
    if (newest && time <= newest.time) {
      if (newest.time - time < KEPT_S * 1000) return;
      this.samples = [];
    }
    this.samples.push({ time, t_s: sample.t_s, values: sample.values });
    while (this.samples[0].time < time - KEPT_S * 1000) this.samples.shift();
    this.unavailable = sample.unavailable;
    this.interval_s = sample.interval_s;
  }

  /**
   * Find the keys of a metric's series, the one without labels first.
   * @param {string} metric
   */
  keys(metric) {
    const found = Object.keys(this.info).filter((key) => this.info[key].metric === metric);
    return found.sort((a, b) => Object.keys(this.info[a].labels).length - Object.keys(this.info[b].labels).length);
  }

  /**
   * Find a label of a series.
   * @param {string} key
   * @param {string} name
   */
  label(key, name) {
    return this.info[key]?.labels[name];
  }

  /**
   * Find the value of a series in a sample, by its index; the newest unless it is given.
   * @param {string} key
   * @param {number} [index]
   * @returns {number | null}
   */
  value(key, index = -1) {
    return this.samples.at(index)?.values[key] ?? null;
  }

  /**
   * List the points to draw, with a null where samples are missing.
   * @param {ValueAt} valueAt
   * @returns {Point[]}
   */
  points(valueAt) {
    const newest = this.samples[this.samples.length - 1];
    /** @type {Point[]} */
    const points = [];
    this.samples.forEach((sample, index) => {
      const before = this.samples[index - 1];
      const x = (sample.time - newest.time) / 1000;
      if (before && sample.time - before.time > GAP_BEATS * 1000 * this.interval_s) points.push([x, null]);
      points.push([x, valueAt(index)]);
    });
    return points;
  }

  /**
   * Find a counter's growth a second between a sample and the one before; null where it began anew.
   * @param {string} key
   * @param {number} index
   */
  rate(key, index) {
    const [before, sample] = [this.samples[index - 1], this.samples[index]];
    if (!before || sample.t_s <= before.t_s) return null;
    const [from, to] = [before.values[key], sample.values[key]];
    return isKnown(from) && isKnown(to) && to >= from ? (to - from) / (sample.t_s - before.t_s) : null;
  }
}
