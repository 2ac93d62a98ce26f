/**
 * What an ended job found, in a dialog.
 */

import { Refusal, readJson } from "./api.js";
import { createBadge } from "./badge.js";
import { byId, create } from "./dom.js";
import { createDefinitions, say } from "./elements.js";
import { bytes, celsius, duration, fixed, milliseconds, moment, percent, significant } from "./readings.js";
import { jobTitle, stateWords, verdictWords } from "./words.js";

/** @typedef {Agent.BenchmarkResult | Agent.ProfileResult | Agent.CommandResult} Result */
/** @typedef {import("./elements.js").Definition} Definition */

const OPERATORS_SHOWN = 15;

/**
 * Show what a job found.
 * @param {Agent.JobSummary} job
 */
export async function showResult(job) {
  const dialog = byId("result", HTMLDialogElement);
  say(byId("result-heading"), jobTitle(job));
  byId("result-body").replaceChildren(create("p", { class: "quiet" }, "fetching the result"));
  byId("result-close").onclick = () => dialog.close();
  if (!dialog.open) dialog.showModal();
  /** @type {Result | null} */
  let found = null;
  /** @type {Error | null} */
  let problem = null;
  try {
    found = await readJson(`/v1/jobs/${job.id}/result`);
  } catch (error) {
    problem = error instanceof Refusal ? error : new Error("The agent does not answer.");
  }
  byId("result-body").replaceChildren(...createParts(job, found, problem));
}

/**
 * @param {Agent.JobSummary} job
 * @param {Result | null} found
 * @param {Error | null} problem why there is none
 */
function createParts(job, found, problem) {
  /** @type {Node[]} */
  const shown = [createOutcome(job)];
  const hint = problem instanceof Refusal ? problem.hint : "";
  if (problem) shown.push(create("p", { class: "missing" }, `${problem.message}${hint ? `. ${hint}` : ""}`));
  if (found) {
    shown.push(createVerdict(found.validity), ...createMeasured(found), createConditions(found));
    if (!found.complete)
      shown.splice(
        1,
        0,
        create("p", { class: "missing" }, "It was cut off: this holds for what was measured until then."),
      );
  }
  return [...shown, createDownloads(job, found)];
}

/** @param {Agent.JobSummary} job */
function createOutcome(job) {
  const line = create("p", {}, createBadge(stateWords(job.state)), ` ${moment(job.ended_at ?? 0)}`);
  if (job.error) line.append(create("span", { class: "error" }, `: ${job.error.detail}`));
  return line;
}

/** @param {Agent.Validity} validity */
function createVerdict(validity) {
  const unchecked = Object.entries(validity.not_checkable);
  const list = create(
    "ul",
    {},
    ...validity.reasons.map((reason) =>
      create("li", {}, createBadge(verdictWords(reason.verdict)), ` ${reason.detail}`),
    ),
  );
  const section = create(
    "section",
    {},
    create("h3", {}, "Verdict ", createBadge(verdictWords(validity.verdict))),
    validity.reasons.length ? list : null,
  );
  if (unchecked.length) {
    const items = unchecked.map(([code, why]) => create("li", {}, `${code.replaceAll("_", " ")}: ${why}`));
    section.append(
      create(
        "details",
        {},
        create("summary", {}, `${unchecked.length} checks could not be made here`),
        create("ul", {}, ...items),
      ),
    );
  }
  return section;
}

/** @param {Result} found */
function createMeasured(found) {
  if (found.kind === "benchmark") return createBenchmark(found);
  return found.kind === "profile" ? createProfile(found) : createCommand(found);
}

/** @param {Agent.BenchmarkResult} found */
function createBenchmark(found) {
  return [
    createNumbers([
      ["Frames per second", significant(found.fps)],
      ["Median latency", milliseconds(found.latency?.p50_ms), writeInterval(found.latency)],
      ["90th percentile", milliseconds(found.latency?.p90_ms)],
      ["99th percentile", milliseconds(found.latency?.p99_ms), found.latency?.unsupported?.p99],
      ["Model load", milliseconds(found.load_ms)],
      ["First inference", milliseconds(found.first_inference_ms)],
    ]),
    createSetup(found, [
      ["Batch", `${found.batch} (${found.batch_mode})`],
      ["Streams", String(found.streams)],
      ["Measured", `${found.iterations} iterations, ${found.frames} frames in ${duration(found.duration_s)}`],
    ]),
  ];
}

/** @param {Agent.ProfileResult} found */
function createProfile(found) {
  return [
    createNumbers([
      ["Median of the graph", milliseconds(found.latency?.p50_ms), writeInterval(found.latency)],
      ["Without profiler", milliseconds(found.plain_p50_ms)],
      ["Explained by operators", percent(found.explained, 1)],
      ["Model load", milliseconds(found.load_ms)],
      ["Peak of activations", bytes(found.peak_activation_bytes)],
    ]),
    createSetup(found, [
      ["Method", found.method],
      ["Measured", `${found.iterations} iterations`],
    ]),
    createOperators(found),
  ];
}

/** @param {Agent.CommandResult} found */
function createCommand(found) {
  return [
    createNumbers([
      ["Exit code", found.exit_code === null ? (found.signal ?? "none") : String(found.exit_code)],
      ["Took", duration(found.duration_s)],
      ["CPU time", duration(found.cpu_s)],
      ["Most memory", bytes(found.max_resident_bytes)],
      ["Left running", found.left_running ? `${found.left_running} processes, ended with it` : null],
    ]),
    createDefinitions([
      ["Command", create("code", {}, found.spec.argv.join(" "))],
      ["Artefacts", found.artifacts.map((file) => `${file.path} (${bytes(file.size_bytes)})`).join(", ")],
      ["Not kept", (found.artifacts_left_out ?? []).join("; ") || null],
    ]),
  ];
}

/** @param {Agent.LatencySummary | null} latency */
const writeInterval = (latency) =>
  latency?.median_interval_ms
    ? `95 %: ${latency.median_interval_ms.map((end) => significant(end)).join(" to ")}`
    : null;

/** @param {readonly [term: string, value: string | null, note?: string | null | undefined][]} rows */
function createNumbers(rows) {
  const list = createDefinitions(
    rows.map(([term, value, note]) => [
      term,
      create("span", {}, value, note ? create("small", { class: "quiet" }, note) : null),
    ]),
  );
  list.className = "numbers";
  return list;
}

/**
 * @param {Agent.BenchmarkResult | Agent.ProfileResult} found
 * @param {readonly Definition[]} more
 */
function createSetup(found, more) {
  const delegate = found.kind === "benchmark" ? found.delegate : null;
  return createDefinitions([
    ["Model", found.model],
    ["Runtime", `${found.runtime} ${found.runtime_version}${delegate ? `, ${delegate}` : ""}`],
    ["Device", found.device],
    ["Threads", String(found.threads)],
    ...more,
  ]);
}

/** @param {Agent.ProfileResult} found */
function createOperators(found) {
  const most = [...found.operators].sort((a, b) => b.share - a.share).slice(0, OPERATORS_SHOWN);
  const rows = most.map((operator) =>
    create(
      "tr",
      {},
      create("td", {}, `${operator.number} ${operator.name}`),
      create("td", {}, operator.kind ?? ""),
      create("td", { class: "number" }, `${fixed(operator.p50_us, 0)} \u00b5s`),
      create("td", { class: "number" }, percent(operator.share, 1)),
    ),
  );
  const head = ["operator", "kind", "median", "share"].map((title) => create("th", { scope: "col" }, title));
  const caption = `Slowest ${most.length} of ${found.operators.length} operators`;
  return create(
    "table",
    {},
    create("caption", {}, caption),
    create("thead", {}, create("tr", {}, ...head)),
    create("tbody", {}, ...rows),
  );
}

/** @param {Result} found */
function createConditions(found) {
  const { conditions: its } = found;
  const temperatures = [its.cpu_temperature_before_celsius, its.cpu_temperature_after_celsius];
  const list = createDefinitions([
    ["CPU", its.cpu_model],
    ["Device", [its.device_name, its.device_type].filter(Boolean).join(", ")],
    ["Governor", its.governor],
    ["Kernel", its.kernel],
    ["Agent", its.agent_revision ?? its.agent_version],
    ["CPU temperature", temperatures[0] === null ? null : `${temperatures.map(celsius).join(" before, ")} after`],
    ["Load before", its.load_average_before === null ? null : its.load_average_before.toFixed(2)],
    ["Model digest", found.kind === "command" ? null : found.model_digest],
  ]);
  return create("details", {}, create("summary", {}, "Conditions"), list);
}

/**
 * @param {Agent.JobSummary} job
 * @param {Result | null} found
 */
function createDownloads(job, found) {
  /**
   * @param {string} path
   * @param {string} name
   */
  const createLink = (path, name) =>
    create("a", { href: `/v1/jobs/${job.id}/${path}`, download: `${job.id}-${name}` }, name);
  const links = [];
  if (found) links.push(createLink("result", "result.json"));
  if (job.started_at && !job.evicted) links.push(createLink("telemetry?format=csv", "telemetry.csv"));
  if (found?.kind === "command") {
    links.push(createLink("logs?stream=stdout", "stdout.txt"), createLink("logs?stream=stderr", "stderr.txt"));
    if (found.artifacts.length) links.push(createLink("artifacts", "artifacts.tar"));
  }
  if (!links.length) return create("p");
  return create("p", { class: "downloads" }, "Download ", ...links.flatMap((link) => [link, " "]));
}
