import { chart, discard } from "./charts.js";
import { report } from "./data.js";
import { h, section } from "./dom.js";
import { factor, figure, percent } from "./format.js";
import { verdict } from "./result.js";
import { table } from "./table.js";
import { colour, seriesColour, swatch, textStyle } from "./theme.js";

const TOP = 15;
const ROW = 24;
const NOBODY = -1;

let shown = null;
let chosen = [0, NOBODY];
let every = false;

export function showLayers() {
  if (!report.profiles.length) return;
  chosen = [0, report.profiles.length > 1 ? 1 : NOBODY];
  const place = section("layers", "Where the time goes, layer by layer");
  shown = h("div", {});
  place.append(report.profiles.length > 1 ? choice() : "", shown);
  draw();
}

function choice() {
  const picker = (place, words, withNobody) => {
    const options = report.profiles.map((each) => h("option", { value: each.id, selected: chosen[place] === each.id }, nameOf(each)));
    if (withNobody) options.unshift(h("option", { value: NOBODY }, "nothing"));
    const change = (event) => {
      chosen[place] = Number(event.target.value);
      draw();
    };
    return h("label", {}, `${words} `, h("select", { onchange: change }, options));
  };
  return h("div", { class: "controls" }, h("div", { class: "range" }, picker(0, "Profile", false), picker(1, "beside", true)));
}

function nameOf(each) {
  return `${each.name}: ${each.model}, ${each.description}`;
}

function draw() {
  discard(shown);
  const comparison = comparisonOf(chosen);
  const profiles = (comparison ? chosen : chosen.slice(0, 1)).map((id) => report.profiles[id]);
  const rows = rowsOf(profiles[0], comparison);
  const order = [...rows].sort((a, b) => longest(b) - longest(a));
  const top = order.slice(0, TOP);
  const rest = order.slice(TOP);
  const words = top.slice(0, 5).map((row) => `${row.name} ${row.layers.map((layer) => `${figure(layer?.mean_us ?? 0)} µs`).join(" and ")}`);
  shown.replaceChildren(
    ...profiles.map(heading),
    comparison ? alignment(comparison) : "",
    h("h3", {}, `The slowest ${Math.min(TOP, order.length)}`, h("span", { class: "unit" }, "  µs an inference, mean; lower is better")),
    chart(top.length * ROW * Math.max(1, 0.75 * profiles.length) + 16, `Time of the slowest operators: ${words.join("; ")}`, (width) => option(top, profiles, width)),
    rowCount(rows),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Operators" }, layerTable(every ? rows : top, every ? [] : rest, profiles)),
  );
}

function longest(row) {
  return Math.max(...row.layers.map((layer) => layer?.mean_us ?? 0));
}

function heading(profile, place) {
  const facts = Object.entries(profile.facts).map(([name, value]) => `${name} ${value}`);
  const mean = profile.mean_ms === null ? "" : `${figure(profile.mean_ms)} ms an inference with the profiler, ${figure(profile.plain_p50_ms)} ms without; `;
  const explained = profile.explained === null ? "" : `the operators explain ${percent(profile.explained)}. `;
  const why = [...new Set(profile.reasons.map((reason) => reason.detail))].join("; ");
  return h(
    "p",
    {},
    swatch(place, { dashed: false }), " ",
    h("b", {}, nameOf(profile)), " ", verdict(profile), why ? h("span", { class: "small muted" }, ` ${why}`) : "",
    h("br"),
    h("span", { class: "small muted" }, `${mean}${explained}${profile.iterations} runs, timed by ${profile.method}${profile.method_detail ? ` (${profile.method_detail})` : ""}. ${facts.join(", ")}.`),
  );
}

function alignment(comparison) {
  if (comparison.same_model) return h("p", { class: "small muted" }, "Both profiles are of the same file: an operator stands beside itself, whatever it was executed as.");
  const words = "Operators correspond where kind and output shape follow one another in the same order.";
  return h("p", { class: "notice warning" }, h("strong", {}, "⚠ The profiles are of different files. "), words);
}

// The two profiles as they were aligned in Python, whichever comes first here; null when they were not.
function comparisonOf([a, b]) {
  const found = report.layer_comparisons.find((each) => (each.first === a && each.second === b) || (each.first === b && each.second === a));
  if (!found) return null;
  const swapped = found.first !== a;
  return { ...found, lines: found.lines.map((line) => ({ ...line, cells: swapped ? [...line.cells].reverse() : line.cells })) };
}

// A row for each operator with what it costs in each profile shown.
function rowsOf(profile, comparison) {
  if (comparison) return comparison.lines.map((line) => ({ number: line.number ?? "", name: line.name, shape: line.shape, layers: line.cells }));
  return profile.layers.map((layer) => ({ number: layer.operator ?? layer.number, name: layer.name, shape: layer.shape, layers: [layer] }));
}

function rowCount(rows) {
  if (rows.length <= TOP) return "";
  const change = (event) => {
    every = event.target.checked;
    draw();
  };
  const box = h("input", { type: "checkbox", checked: every, onchange: change });
  return h("p", {}, h("label", { class: "chip" }, box, `All ${rows.length} operators, in the order of the model`));
}

function layerTable(rows, rest, profiles) {
  const one = profiles.length === 1;
  const times = profiles.flatMap((profile, place) => [
    { label: one ? "mean" : `${profile.name}: mean`, hint: "µs", right: true, value: (row) => row.layers[place]?.mean_us ?? null, show: figure },
    { label: one ? "share" : `${profile.name}: share`, right: true, value: (row) => row.layers[place]?.share ?? null, show: percent },
  ]);
  const details = [
    { label: "executed as", value: (row) => [...new Set(row.layers.map((layer) => layer?.executed_as ?? "-"))].join(" / ") },
    { label: "output", value: (row) => row.shape },
  ];
  const figures = [
    { label: "std", hint: "µs", right: true, value: (row) => row.layers[0]?.std_us ?? null, show: (value) => (value === null ? "" : figure(value)) },
    { label: "MMAC", right: true, value: (row) => row.layers[0].macs, show: (value) => (value ? figure(value / 1e6) : "") },
    { label: "parameters", right: true, value: (row) => row.layers[0].parameters, show: (value) => (value ? String(value) : "") },
    { label: "GFLOP/s", right: true, value: (row) => row.layers[0]?.gflops ?? null, show: (value) => (value === null ? "" : figure(value)) },
  ];
  const ratio = { label: "times", hint: "second over first", right: true, value: ({ layers: [a, b] }) => (a && b && a.mean_us > 0 ? b.mean_us / a.mean_us : null), show: (value) => (value === null ? "" : factor(value)) };
  const columns = [
    { label: "#", right: true, value: (row) => row.number },
    { label: "operator", rowHead: true, value: (row) => row.name },
    ...times,
    ...(one ? figures : [ratio]),
    ...details,
  ];
  return table({ columns, rows, className: "dense", sortable: true, sums: rest.length ? [others(rest, profiles)] : [] });
}

function others(rest, profiles) {
  const layers = profiles.map((_, place) => ({
    mean_us: total(rest, place, "mean_us"),
    share: total(rest, place, "share"),
    macs: total(rest, place, "macs"),
    parameters: total(rest, place, "parameters"),
    std_us: null,
    gflops: null,
    executed_as: "",
  }));
  return { number: "", name: `${rest.length} others together`, shape: "", layers };
}

function total(rows, place, name) {
  return rows.reduce((sum, row) => sum + (row.layers[place]?.[name] ?? 0), 0);
}

function option(rows, profiles, width) {
  const wide = width > 560;
  const left = wide ? 290 : 150;
  const style = textStyle();
  const label = (row) => `${row.number} ${row.name}${wide ? `  ${row.shape}` : ""}`;
  return {
    animation: false,
    textStyle: style,
    grid: { left, right: 96, top: 4, bottom: 4 },
    xAxis: { type: "value", min: 0, max: "dataMax", show: false },
    yAxis: { type: "category", inverse: true, data: rows.map((_, n) => n), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { formatter: (n) => label(rows[n]), margin: left - 2, align: "left", width: left - 12, overflow: "truncate", fontSize: 11, color: colour("ink") } },
    series: profiles.map((_, place) => ({
      type: "bar",
      silent: true,
      barMaxWidth: 15,
      barGap: "15%",
      itemStyle: { color: seriesColour(place) },
      label: { show: true, position: "right", color: colour("ink"), fontSize: 11, formatter: ({ dataIndex }) => barLabel(rows[dataIndex].layers[place]) },
      data: rows.map((row) => row.layers[place]?.mean_us ?? null),
    })),
  };
}

function barLabel(layer) {
  return layer ? `${figure(layer.mean_us)}  ${percent(layer.share)}` : "";
}
