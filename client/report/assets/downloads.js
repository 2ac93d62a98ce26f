import { labelOf, report } from "./data.js";
import { h } from "./dom.js";

export function showDownloads() {
  const buttons = [
    download("Everything (JSON)", "report.json", "application/json", () => JSON.stringify(report, null, 1)),
    report.configurations.length ? csv("Results (CSV)", "results.csv", results) : null,
    report.recordings.length ? csv("Telemetry as drawn (CSV)", "telemetry.csv", telemetry) : null,
    report.profiles.length ? csv("Layers (CSV)", "layers.csv", layers) : null,
  ];
  document.getElementById("footer").append(
    h("div", { class: "downloads" }, buttons.filter(Boolean)),
    h("p", {}, `Made by edgerun ${report.edgerun_version}, ${report.generated_at}. Charts by Apache ECharts (Apache-2.0). Nothing on this page was loaded from anywhere.`),
  );
}

function csv(words, name, make) {
  return download(words, name, "text/csv", () => make().map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n");
}

// Text that a spreadsheet would take for a formula is marked as text.
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(words, name, type, make) {
  const save = () => {
    const address = URL.createObjectURL(new Blob([make()], { type }));
    const link = h("a", { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address));
  };
  return h("button", { type: "button", class: "plain", onclick: save }, words);
}

function results() {
  const figures = Object.keys(report.configurations[0].figures).filter((key) => key !== "interval_ms");
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

function telemetry() {
  const names = new Map(report.components.map((each) => [each.key, each]));
  const rows = report.recordings.flatMap((recording) =>
    Object.entries(recording.channels).flatMap(([key, channel]) =>
      channel.t_s.map((t, n) => [labelOf(recording), key, names.get(key)?.unit ?? "", t, channel.values[n]]),
    ),
  );
  return [["recording", "series", "unit", "t_s", "value"], ...rows];
}

function layers() {
  const columns = Object.keys(report.profiles[0].layers[0] ?? {});
  const rows = report.profiles.flatMap((each) => each.layers.map((layer) => [each.name, ...columns.map((name) => layer[name])]));
  return [["profile", ...columns], ...rows];
}
