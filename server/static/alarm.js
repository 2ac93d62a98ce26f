// Signs that the hardware holds itself back now. Pure: a past in, sentences out.

const FLAGS = {
  under_voltage: "The power supply is too weak",
  frequency_capped: "The firmware caps the clock",
  throttled: "The firmware is limiting the clock",
  soft_temperature_limit: "The soft temperature limit is reached",
};
const GPU_HEAT = {
  software_thermal: "The GPU is slowed down by its driver, for heat",
  hardware_thermal: "The GPU is slowed down by its hardware, for heat",
};

export function throttling(past) {
  if (past.samples.length === 0) return [];
  return [...new Set([...flags(past), ...gpu(past), ...cooling(past), ...counters(past), ...heat(past)])];
}

const raised = (past, metric) => past.keys(metric).filter((key) => past.value(key) > 0);

function flags(past) {
  const live = raised(past, "throttle_active")
    .map((key) => FLAGS[past.label(key, "reason")])
    .filter(Boolean);
  return raised(past, "under_voltage_alarm").length ? [...live, FLAGS.under_voltage] : live;
}

const gpu = (past) =>
  raised(past, "gpu_throttle_active")
    .map((key) => GPU_HEAT[past.label(key, "reason")])
    .filter(Boolean);

// Cooling that slows down is an alarm when it goes beyond the least that was seen.
function cooling(past) {
  return raised(past, "cooling_state")
    .filter((key) => past.samples.some((sample) => sample.values[key] < past.value(key)))
    .map((key) => `${past.label(key, "kind") || "A part"} is slowed down to cool`);
}

function counters(past) {
  const grown = past.keys("cpu_throttle_events_total").some((key) => past.rate(key, past.samples.length - 1) > 0);
  return grown ? ["The processor slowed itself down"] : [];
}

function heat(past) {
  const [now, trip] = ["cpu_temperature_celsius", "cpu_temperature_trip_celsius"].map((metric) => past.value(metric));
  return now !== null && trip !== null && now >= trip
    ? [`The processor is at ${now.toFixed(0)} \u00b0C, where it is slowed down`]
    : [];
}
