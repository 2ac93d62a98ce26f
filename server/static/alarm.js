/**
 * Signs that the hardware holds itself back now. Pure: a past in, sentences out.
 */

/** @typedef {import("./past.js").Past} Past */

/** @type {Record<string, string>} */
const FLAGS = {
  under_voltage: "The power supply is too weak",
  frequency_capped: "The firmware caps the clock",
  throttled: "The firmware is limiting the clock",
  soft_temperature_limit: "The soft temperature limit is reached",
};
/** @type {Record<string, string>} */
const GPU_HEAT = {
  software_thermal: "The GPU is slowed down by its driver, for heat",
  hardware_thermal: "The GPU is slowed down by its hardware, for heat",
};

/**
 * Say how the hardware holds itself back.
 * @param {Past} past
 */
export function findThrottling(past) {
  if (past.samples.length === 0) return [];
  return [
    ...new Set([...readFlags(past), ...readGpu(past), ...readCooling(past), ...readCounters(past), ...readHeat(past)]),
  ];
}

/**
 * @param {Past} past
 * @param {string} metric
 */
const findRaised = (past, metric) => past.keys(metric).filter((key) => (past.value(key) ?? 0) > 0);

/** @param {Past} past */
function readFlags(past) {
  const live = explain(past, "throttle_active", FLAGS);
  return findRaised(past, "under_voltage_alarm").length ? [...live, FLAGS.under_voltage] : live;
}

/** @param {Past} past */
const readGpu = (past) => explain(past, "gpu_throttle_active", GPU_HEAT);

/**
 * Say what the flags mean that are raised.
 * @param {Past} past
 * @param {string} metric
 * @param {Record<string, string>} words by the reason that is the flag's label
 */
function explain(past, metric, words) {
  return findRaised(past, metric)
    .map((key) => words[past.label(key, "reason") ?? ""])
    .filter(Boolean);
}

/**
 * Cooling that slows down is an alarm when it goes beyond the least that was seen.
 * @param {Past} past
 */
function readCooling(past) {
  return findRaised(past, "cooling_state")
    .filter((key) => past.samples.some((_, index) => isLess(past.value(key, index), past.value(key))))
    .map((key) => `${past.label(key, "kind") || "A part"} is slowed down to cool`);
}

/** @param {Past} past */
function readCounters(past) {
  const grown = past
    .keys("cpu_throttle_events_total")
    .some((key) => (past.rate(key, past.samples.length - 1) ?? 0) > 0);
  return grown ? ["The CPU slowed itself down"] : [];
}

/**
 * @param {number | null} value
 * @param {number | null} other
 */
const isLess = (value, other) => value !== null && other !== null && value < other;

/** @param {Past} past */
function readHeat(past) {
  const [now, trip] = ["cpu_temperature_celsius", "cpu_temperature_trip_celsius"].map((metric) => past.value(metric));
  return now !== null && trip !== null && now >= trip
    ? [`The CPU is at ${now.toFixed(0)} \u00b0C, where it is slowed down`]
    : [];
}
