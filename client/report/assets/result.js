import { report } from "./data.js";
import { h } from "./dom.js";
import { figure, milliseconds } from "./format.js";
import { table } from "./table.js";
import { swatch } from "./theme.js";

const MARKS = { ok: "✓ ok", suspect: "? suspect", unreliable: "⚠ unreliable" };

// A verdict as sign and word.
export function verdict(each) {
  const words = each.verdict ? MARKS[each.verdict] : "✗ no result";
  return h("span", { class: `verdict ${each.verdict ?? "none"}` }, words);
}

// Whose line or row it is.
export function who(look, title, subtitle, { dashed = false } = {}) {
  const names = h("span", { class: "names" }, h("b", {}, title), h("span", { class: "small" }, subtitle));
  return h("span", { class: "who" }, swatch(look, { dashed }), names);
}

// The best value of a column among those that may be ranked.
export function best(figureOf, lower) {
  const ranked = report.configurations.filter((each) => each.verdict === "ok" || each.verdict === "suspect");
  const values = ranked.map(figureOf).filter((value) => value !== null);
  if (new Set(values).size < 2) return null;
  return lower ? Math.min(...values) : Math.max(...values);
}

function column(label, key, { lower = true, show = milliseconds } = {}) {
  const value = (each) => each.figures[key];
  const top = best(value, lower);
  const hint = lower ? "lower is better" : "higher is better";
  const isBest = (each) => top !== null && each.figures[key] === top && each.verdict !== "unreliable";
  return { label, hint, right: true, value, show, best: isBest };
}

function medianWithInterval(value, each) {
  if (value === null) return "n/a";
  const interval = each.figures.interval_ms;
  if (!interval) return milliseconds(value);
  const words = each.jobs > 1 ? `${each.jobs} jobs: ` : "";
  const range = `${words}${milliseconds(interval[0])} to ${milliseconds(interval[1])}`;
  return h("span", {}, milliseconds(value), h("span", { class: "small muted", title: "95 % interval" }, h("br"), range));
}

// A percentile, or why the sample does not support it.
function percentile(name) {
  return (value, each) => {
    if (value !== null || !each.unsupported[name]) return milliseconds(value);
    return h("span", {}, "n/a", h("br"), h("span", { class: "small muted why" }, each.unsupported[name]));
  };
}

function reasonsOf(each) {
  const words = [...new Set(each.reasons.map((reason) => reason.detail))];
  return h("span", {}, verdict(each), h("br"), h("span", { class: "small muted" }, each.problem ?? words.join("; ")));
}

export function showResult() {
  const place = document.getElementById("result");
  if (report.configurations.length) place.append(resultTable());
  if (report.programs.length) place.append(programTable());
  for (const notice of report.notices) {
    const mark = notice.level === "warning" ? "⚠ " : "";
    place.append(h("p", { class: `notice ${notice.level}` }, h("strong", {}, mark, notice.title), " ", notice.text));
  }
  if (report.statements.length) {
    place.append(h("h3", {}, "What the samples can tell"));
    place.append(h("ul", { class: "statements" }, report.statements.map((line) => h("li", {}, line))));
  }
}

function resultTable() {
  const figures = report.configurations.map((each) => each.figures);
  const has = (key) => figures.some((each) => each[key] !== null);
  const tail = has("p95_ms") || !has("p90_ms") ? "p95" : "p90";
  const columns = [
    { label: "Configuration", rowHead: true, wide: true, show: (_, each) => who(each.id, each.title, each.subtitle) },
    column("Load", "load_ms"),
    column("First inference", "first_inference_ms"),
    { ...column("Latency, median", "p50_ms"), show: medianWithInterval },
    column(tail, `${tail}_ms`, { show: percentile(tail) }),
    column("Frames per second", "fps", { lower: false, show: figure }),
    has("energy_mj") ? column("Energy a frame", "energy_mj", { show: (mj) => (mj === null ? "n/a" : `${figure(mj)} mJ`) }) : null,
    has("temperature_max_celsius")
      ? { label: "Hottest", hint: "processor", right: true, value: (each) => each.figures.temperature_max_celsius, show: (c) => (c === null ? "n/a" : `${c.toFixed(1)} °C`) }
      : null,
    { label: "Verdict", wide: true, show: (_, each) => reasonsOf(each) },
  ].filter(Boolean);
  return h("div", { class: "scroll" }, table({ columns, rows: report.configurations, className: "cards" }));
}

function programTable() {
  const columns = [
    { label: "Program", rowHead: true, wide: true, show: (_, each) => who(each.id, each.name, each.command) },
    { label: "Ended with", right: true, show: (_, each) => (each.exit_code === null ? (each.problem ?? "n/a") : `exit code ${each.exit_code}`) },
    { label: "Duration", right: true, show: (_, each) => (each.duration_s === null ? "n/a" : `${figure(each.duration_s)} s`) },
    { label: "Processor time", right: true, show: (_, each) => (each.cpu_s === null ? "n/a" : `${figure(each.cpu_s)} s`) },
    { label: "Memory at most", right: true, show: (_, each) => (each.memory_max_mib === null ? "n/a" : `${figure(each.memory_max_mib)} MiB`) },
    { label: "Verdict", wide: true, show: (_, each) => reasonsOf(each) },
  ];
  return h("div", { class: "scroll" }, table({ columns, rows: report.programs, className: "cards" }));
}
