/**
 * What can be saved from the page.
 */

import { labelOf, report } from "./data.js";
import { byId, create } from "./dom.js";

/** @typedef {string | number | null | undefined} Cell */

/** Show the buttons that save what the report holds. */
export function showDownloads() {
  const buttons = [
    createButton("Everything (JSON)", "report.json", "application/json", () => JSON.stringify(report, null, 1)),
    report.configurations.length ? createCsvButton("Results (CSV)", "results.csv", listResults) : null,
    report.recordings.length ? createCsvButton("Telemetry as drawn (CSV)", "telemetry.csv", listTelemetry) : null,
    report.profiles.length ? createCsvButton("Layers (CSV)", "layers.csv", listLayers) : null,
  ];
  byId("footer").append(
    create("div", { class: "downloads" }, buttons.filter(Boolean)),
    create(
      "p",
      {},
      `Made by edgerun ${report.edgerun_version}, ${report.generated_at}. Charts by Apache ECharts (Apache-2.0). Nothing on this page was loaded from anywhere.`,
    ),
  );
}

/**
 * @param {string} words
 * @param {string} name
 * @param {() => readonly (readonly Cell[])[]} make
 */
function createCsvButton(words, name, make) {
  const lines = () => make().map((row) => `${row.map(writeCell).join(",")}\r\n`);
  return createButton(words, name, "text/csv", () => lines().join(""));
}

/**
 * Write a cell. Text that a spreadsheet would take for a formula is marked as text.
 * @param {Cell} value
 */
function writeCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * @param {string} words
 * @param {string} name of the file
 * @param {string} type
 * @param {() => string} make
 */
function createButton(words, name, type, make) {
  const save = () => {
    const address = URL.createObjectURL(new Blob([make()], { type }));
    const link = create("a", { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address));
  };
  return create("button", { type: "button", class: "plain", onclick: save }, words);
}

/** @returns {Cell[][]} */
function listResults() {
  const names = Object.keys(report.configurations[0].figures).filter((name) => name !== "interval_ms");
  const figures = /** @type {import("./result.js").FigureName[]} */ (names);
  const head = ["run", "host", "configuration", "jobs", "verdict", "reasons", ...figures, "p50_low_ms", "p50_high_ms"];
  const rows = report.configurations.map((each) => [
    each.run,
    each.host,
    each.name,
    each.jobs,
    each.verdict,
    each.reasons.map((reason) => reason.detail).join("; "),
    ...figures.map((key) => each.figures[key]),
    ...(each.figures.interval_ms ?? [null, null]),
  ]);
  return [head, ...rows];
}

/** @returns {Cell[][]} */
function listTelemetry() {
  const names = new Map(report.components.map((each) => [each.key, each]));
  const rows = report.recordings.flatMap((recording) =>
    Object.entries(recording.channels).flatMap(([key, channel]) =>
      channel.t_s.map((t, n) => [labelOf(recording), key, names.get(key)?.unit ?? "", t, channel.values[n]]),
    ),
  );
  return [["recording", "series", "unit", "t_s", "value"], ...rows];
}

/** @returns {Cell[][]} */
function listLayers() {
  const columns = /** @type {(keyof Report.Layer)[]} */ (Object.keys(report.profiles[0].layers[0] ?? {}));
  const rows = report.profiles.flatMap((each) =>
    each.layers.map((layer) => [each.name, ...columns.map((name) => layer[name])]),
  );
  return [["profile", ...columns], ...rows];
}
