// The samples of the last minutes, and what can be read off them.

export const KEPT_S = 300;
const GAP_BEATS = 3;

export class Past {
  constructor() {
    this.clear();
  }

  clear() {
    this.samples = []; // {time (ms, the agent's clock), t_s, values}
    this.info = {};
    this.unavailable = {};
    this.interval_s = 1;
  }

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

  // Keys of a metric's series, the one without labels first.
  keys(metric) {
    const found = Object.keys(this.info).filter((key) => this.info[key].metric === metric);
    return found.sort((a, b) => Object.keys(this.info[a].labels).length - Object.keys(this.info[b].labels).length);
  }

  label(key, name) {
    return this.info[key]?.labels[name];
  }

  value(key, index = -1) {
    return this.samples.at(index)?.values[key] ?? null;
  }

  // [seconds before the newest sample, value], with a null where samples are missing.
  points(valueAt) {
    const newest = this.samples.at(-1);
    const points = [];
    this.samples.forEach((sample, index) => {
      const before = this.samples[index - 1];
      const x = (sample.time - newest.time) / 1000;
      if (before && sample.time - before.time > GAP_BEATS * 1000 * this.interval_s) points.push([x, null]);
      points.push([x, valueAt(index)]);
    });
    return points;
  }

  // A counter's growth a second between a sample and the one before; null where it began anew.
  rate(key, index) {
    const [before, sample] = [this.samples[index - 1], this.samples[index]];
    if (!before || sample.t_s <= before.t_s) return null;
    const [from, to] = [before.values[key], sample.values[key]];
    return known(from) && known(to) && to >= from ? (to - from) / (sample.t_s - before.t_s) : null;
  }
}

export const known = (value) => value !== null && value !== undefined;
