/**
 * The report's data.
 */

import { byId } from "./dom.js";

/**
 * What the report was made of: see client/report/model.py for every field.
 * @type {Report.ReportData}
 */
export const report = JSON.parse(byId("report-data").textContent ?? "");

/** @type {Map<number, Report.Configuration | Report.Program>} */
const owners = new Map();
for (const each of [...report.configurations, ...report.programs]) owners.set(each.id, each);

/**
 * Find the configuration or program that a recording belongs to.
 * @param {Report.ShownRecording} recording
 */
export function ownerOf(recording) {
  return owners.get(recording.owner);
}

/**
 * A recording's place in the sequence of colours and dash patterns: repeats look like their configuration.
 * @param {Report.ShownRecording} recording
 */
export function lookOf(recording) {
  return recording.owner;
}

/**
 * Say which recording it is.
 * @param {Report.ShownRecording} recording
 */
export function labelOf(recording) {
  const again = recording.repeat > 0 ? `, repeat ${recording.repeat + 1}` : "";
  return `${recording.title}, ${recording.subtitle}${again}`;
}
