/**
 * A picture in, labels and stage times out.
 */

import { may } from "./access.js";
import { post, Refusal, readJson } from "./api.js";
import { byId, create, find, targetOf } from "./dom.js";
import { createButton, createDefinitions, say } from "./elements.js";
import { milliseconds, percent } from "./readings.js";

/** @typedef {import("./elements.js").Definition} Definition */

/** @typedef {"file" | "draw" | "camera"} Source */

/** @typedef {Exclude<keyof Agent.StageTimes, "total">} Stage */

/** @type {readonly Source[]} */
const SOURCES = ["file", "draw", "camera"];
/** @type {readonly Stage[]} */
const STAGES = ["queue", "load", "decode", "preprocess", "inference", "postprocess"];
const TOP_K = 5;
const DIGITS = "digits";

/** @param {Source} source */
const inputOf = (source) => find(document, `[name="try-source"][value="${source}"]`, HTMLInputElement);

/** The part of the page that takes pictures. */
export class Classify {
  constructor() {
    this.sent = 0;
    /** The model before a digit was drawn. */
    this.chosen = "";
    /** @type {Blob | null} */
    this.image = null;
    /**
     * What is sent again when the job that measures is through.
     * @type {Blob | null}
     */
    this.waiting = null;
    this.model = byId("try-model", HTMLSelectElement);
    /** @type {(source: Source) => void} */
    this.onSource = () => {};
    byId("try-input").addEventListener("change", (event) => this.file(targetOf(event, HTMLInputElement).files?.[0]));
    this.model.addEventListener("change", () => this.again());
    for (const source of SOURCES) inputOf(source).addEventListener("change", () => this.source(source));
    takeDrops((file) => this.file(file));
    this.loadModels();
  }

  /** List the models that classify pictures; called again when the list may have changed. */
  async loadModels() {
    /** @type {Agent.ModelList} */
    const { models, default: preferred } = await readJson("/v1/models");
    const chosen = this.model.value || preferred;
    const names = models.filter((model) => model.task === "classification").map((model) => model.name);
    this.model.replaceChildren(
      ...names.map((name) => create("option", { value: name, selected: name === chosen }, name)),
    );
  }

  /**
   * Show where pictures come from.
   * @param {Source} name
   */
  source(name) {
    for (const each of SOURCES) byId(`try-${each}`).hidden = each !== name;
    this.chooseModel(name === "draw");
    this.image = null;
    this.waiting = null;
    byId("try-answer").replaceChildren();
    this.onSource(name);
  }

  /**
   * Choose the model: drawn digits are for the one that knows them; afterwards the one that was chosen is back.
   * @param {boolean} forDigits
   */
  chooseModel(forDigits) {
    if (forDigits) this.chosen = this.model.value;
    const wanted = forDigits ? DIGITS : this.chosen;
    if ([...this.model.options].some((option) => option.value === wanted)) this.model.value = wanted;
  }

  /**
   * Show a file and classify it.
   * @param {File | null | undefined} file
   */
  file(file) {
    if (!file || !may("infer")) return;
    const source = inputOf("file");
    if (!source.checked) {
      source.checked = true;
      this.source("file");
    }
    const preview = byId("try-preview", HTMLImageElement);
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(file);
    preview.alt = `The picture ${file.name}`;
    preview.hidden = false;
    say(byId("try-drop-text"), file.name);
    this.send(file);
  }

  /** Classify the last picture again. */
  again() {
    if (this.image) this.send(this.image);
  }

  /**
   * Classify the bytes of a picture; of several the newest answer is shown.
   * @param {Blob} image
   */
  async send(image) {
    const number = ++this.sent;
    this.image = image;
    this.waiting = null;
    const began = performance.now();
    try {
      const model = encodeURIComponent(this.model.value);
      const reply = await (
        await post(`/v1/models/${model}/classify?top_k=${TOP_K}`, image, "application/octet-stream")
      ).json();
      if (number === this.sent) byId("try-answer").replaceChildren(...createAnswer(reply, performance.now() - began));
    } catch (error) {
      if (number === this.sent) this.refused(error);
    }
  }

  /**
   * Say why there is no answer.
   * @param {unknown} error
   */
  refused(error) {
    if (error instanceof Refusal && error.code === "measuring") {
      this.waiting = this.image;
      const text =
        "A job is measuring: the agent takes no pictures meanwhile, so that numbers are never mixed. This one is sent again when the job is through.";
      byId("try-answer").replaceChildren(create("p", { class: "missing" }, text));
      return;
    }
    const text = error instanceof Refusal ? `${error.message}. ${error.hint}` : "The agent does not answer.";
    byId("try-answer").replaceChildren(
      create("p", { class: "error" }, text),
      createButton("Send again", () => this.again()),
    );
  }

  /**
   * A job began or ended.
   * @param {boolean} running
   */
  jobRuns(running) {
    if (!running && this.waiting) this.send(this.waiting);
    if (!running) this.loadModels().catch(() => {});
  }
}

/**
 * Take pictures that are dropped anywhere on the page, or pasted.
 * @param {(file: File | undefined) => void} take
 */
function takeDrops(take) {
  const drop = byId("try-drop");
  let inside = 0;
  /** @param {number} change of how many elements a picture is held over */
  const mark = (change) => {
    inside = Math.max(0, inside + change);
    drop.classList.toggle("over", inside > 0);
  };
  addEventListener("dragenter", () => mark(1));
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-inside);
    take(event.dataTransfer?.files[0]);
  });
  addEventListener("paste", (event) => take(event.clipboardData?.files[0]));
}

/**
 * @param {Agent.ClassifyReply} reply
 * @param {number} seen_ms
 */
function createAnswer(reply, seen_ms) {
  return [createLabels(reply), createStages(reply.timing_ms, seen_ms), createModelLine(reply)];
}

/** @param {Agent.ClassifyReply} reply */
function createLabels(reply) {
  const items = reply.predictions.map((prediction) => {
    const bar = create("span", { class: "bar" });
    bar.style.width = `${100 * prediction.score}%`;
    return create(
      "li",
      {},
      create("span", { class: "label" }, prediction.label ?? `class ${prediction.index}`),
      create("span", { class: "track", "aria-hidden": "true" }, bar),
      create("span", { class: "score" }, percent(prediction.score, 1)),
    );
  });
  return create("ol", { class: "labels", "aria-label": "Classes, best first" }, ...items);
}

/**
 * @param {Agent.StageTimes} times
 * @param {number} seen_ms
 */
function createStages(times, seen_ms) {
  const there = STAGES.filter((stage) => times[stage] !== null && times[stage] !== undefined);
  const strip = create(
    "div",
    { class: "stages", "aria-hidden": "true" },
    ...there.map((stage) => {
      const part = create("span", { class: `stage ${stage}`, title: `${stage} ${milliseconds(times[stage])}` });
      part.style.flexGrow = String(times[stage]);
      return part;
    }),
  );
  const list = createDefinitions([
    ...there.map((stage) => /** @type {Definition} */ ([stage, milliseconds(times[stage])])),
    ["agent in all", milliseconds(times.total)],
    ["seen from here", milliseconds(seen_ms)],
  ]);
  list.className = "stage-times";
  for (const [index, stage] of there.entries()) list.children[index].classList.add(stage);
  return create("div", {}, strip, list);
}

/** @param {Agent.ClassifyReply} reply */
function createModelLine({ model: { name }, runtime, image }) {
  const parts = [
    name,
    `${runtime.name} ${runtime.version} on ${runtime.device}`,
    runtime.delegate,
    `${image.width} \u00d7 ${image.height} ${image.format}`,
  ];
  return create("p", { class: "quiet" }, parts.filter(Boolean).join(", "));
}
