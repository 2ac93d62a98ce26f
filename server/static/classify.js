/**
 * A picture in; labels or boxes, and stage times, out.
 */

import { may } from "./access.js";
import { createAnswer, createLabels } from "./answers.js";
import { post, Refusal, readJson } from "./api.js";
import { createObjects } from "./boxes.js";
import { byId, create, find, targetOf } from "./dom.js";
import { createButton, say } from "./elements.js";
import { percent } from "./readings.js";

/** @typedef {"file" | "draw" | "camera"} Source */

/** @typedef {Exclude<Agent.Task, "tensor">} ImageTask what is done with a picture */

/** @typedef {{ heading: string, shoot: string }} TaskWords */

/** @type {readonly Source[]} */
const SOURCES = ["file", "draw", "camera"];
/** @type {Record<ImageTask, TaskWords>} */
const WORDS = {
  classification: {
    heading: "Classify a picture",
    shoot: "Classify what it sees",
  },
  detection: {
    heading: "Find objects in a picture",
    shoot: "Find objects in what it sees",
  },
};
const BYTES = "application/octet-stream";
const TOP_K = 5;
const DIGITS = "digits";
const READS_DIGITS = [DIGITS, "digits-detector"];

/** @param {Source} source */
const inputOf = (source) => find(document, `[name="try-source"][value="${source}"]`, HTMLInputElement);

/** The part of the page that takes pictures. */
export class Classify {
  constructor() {
    this.sent = 0;
    /**
     * What each model does.
     * @type {Map<string, ImageTask>}
     */
    this.tasks = new Map();
    /**
     * Gives what is drawn: cut to the ink, as a classifier of digits knows them, or the whole paper.
     * @type {((whole: boolean) => Promise<Blob | null>) | null}
     */
    this.drawing = null;
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
    /** @type {() => void} */
    this.onModel = () => {};
    byId("try-input").addEventListener("change", (event) => this.file(targetOf(event, HTMLInputElement).files?.[0]));
    this.model.addEventListener("change", () => this.modelChanged());
    this.score = byId("try-score", HTMLInputElement);
    this.score.addEventListener("input", () => this.showScore());
    this.score.addEventListener("change", () => this.again());
    for (const source of SOURCES) inputOf(source).addEventListener("change", () => this.source(source));
    takeDrops((file) => this.file(file));
    this.loadModels();
  }

  /** What the chosen model does. */
  get task() {
    return this.tasks.get(this.model.value) ?? "classification";
  }

  /** List the models that take pictures; called again when the list may have changed. */
  async loadModels() {
    /** @type {Agent.ModelList} */
    const { models, default: preferred } = await readJson("/v1/models");
    const chosen = this.model.value || preferred;
    this.tasks.clear();
    for (const { name, task } of models) if (task !== "tensor") this.tasks.set(name, task);
    this.model.replaceChildren(
      ...createGroups(this.tasks, (name) => create("option", { value: name, selected: name === chosen }, name)),
    );
    this.showTask();
  }

  /** Say what will be done with a picture. */
  showTask() {
    const { heading, shoot } = WORDS[this.task];
    say(byId("try-heading"), heading);
    say(byId("camera-shoot"), shoot);
    byId("try-scores").hidden = this.task !== "detection";
    this.showScore();
  }

  /** Show the score that objects need. */
  showScore() {
    say(byId("try-score-value"), percent(this.score.valueAsNumber));
  }

  /** Another model was chosen. */
  modelChanged() {
    this.showTask();
    this.onModel();
    this.again();
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
   * Choose the model: drawn digits are for one that knows them; afterwards the one that was chosen is back.
   * @param {boolean} forDigits
   */
  chooseModel(forDigits) {
    if (forDigits) this.chosen = this.model.value;
    const wanted = forDigits && !READS_DIGITS.includes(this.chosen) ? DIGITS : this.chosen;
    if (this.tasks.has(wanted)) this.model.value = wanted;
    this.showTask();
    this.onModel();
  }

  /**
   * Show a file and ask about it.
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
    preview.hidden = this.task === "detection"; // which is shown with its boxes
    say(byId("try-drop-text"), file.name);
    this.send(file);
  }

  /** Ask about the last picture again. */
  again() {
    if (inputOf("draw").checked) this.sendDrawing();
    else if (this.image) this.send(this.image);
  }

  /** Ask about what is drawn. */
  async sendDrawing() {
    const drawn = await this.drawing?.(this.task === "detection");
    if (drawn) await this.send(drawn);
  }

  /**
   * Ask about the bytes of a picture; of several the newest answer is shown.
   * @param {Blob} image
   */
  async send(image) {
    const number = ++this.sent;
    this.image = image;
    this.waiting = null;
    const began = performance.now();
    try {
      const { reply, show } = await this.ask(image);
      const seen_ms = performance.now() - began;
      const found = await show();
      if (number !== this.sent) return;
      const preview = byId("try-preview", HTMLImageElement);
      preview.hidden = this.task === "detection" || !preview.src;
      byId("try-answer").replaceChildren(...createAnswer(reply, found, seen_ms));
    } catch (error) {
      if (number === this.sent) this.refused(error);
    }
  }

  /**
   * Ask the chosen model about a picture; gives the reply, and how what was found is shown.
   * @param {Blob} image
   * @returns {Promise<{ reply: Agent.ClassifyReply | Agent.DetectReply, show: () => Promise<Element[]> }>}
   */
  async ask(image) {
    const path = `/v1/models/${encodeURIComponent(this.model.value)}`;
    if (this.task === "detection") {
      const least = this.score.valueAsNumber;
      /** @type {Agent.DetectReply} */
      const reply = await (await post(`${path}/detect?min_score=${least}`, image, BYTES)).json();
      return { reply, show: () => createObjects(reply, image, least) };
    }
    /** @type {Agent.ClassifyReply} */
    const reply = await (await post(`${path}/classify?top_k=${TOP_K}`, image, BYTES)).json();
    return { reply, show: async () => [createLabels(reply)] };
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
 * Create the list of models, those of a task together where there are several tasks.
 * @param {ReadonlyMap<string, ImageTask>} tasks
 * @param {(name: string) => HTMLOptionElement} createOption
 */
function createGroups(tasks, createOption) {
  const groups = [...new Set(tasks.values())].map((task) => {
    const names = [...tasks].filter(([, each]) => each === task).map(([name]) => name);
    return create("optgroup", { label: WORDS[task].heading }, ...names.map(createOption));
  });
  return groups.length > 1 ? groups : [...tasks.keys()].map(createOption);
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
