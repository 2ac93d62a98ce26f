// A picture in, labels and stage times out.

import { post, Refusal, read } from "./api.js";
import { byId, create } from "./dom.js";
import { createButton, createDefinitions, say } from "./elements.js";
import { milliseconds, percent } from "./readings.js";

const STAGES = ["queue", "load", "decode", "preprocess", "inference", "postprocess"];
const TOP_K = 5;
const DIGITS = "digits";

export class Classify {
  constructor() {
    this.sent = 0;
    this.chosen = null; // the model before a digit was drawn
    this.waiting = null; // what is sent again when the job that measures is through
    byId("try-input").addEventListener("change", (event) => this.file(event.target.files[0]));
    byId("try-model").addEventListener("change", () => this.again());
    for (const source of document.getElementsByName("try-source"))
      source.addEventListener("change", () => this.source(source.value));
    takeDrops((file) => this.file(file));
    this.onSource = () => {};
    this.loadModels();
  }

  // The models that classify pictures; called again when the list may have changed.
  async loadModels() {
    const { models, default: preferred } = await read("/v1/models");
    const chosen = byId("try-model").value || preferred;
    const names = models.filter((model) => model.classifier).map((model) => model.name);
    byId("try-model").replaceChildren(
      ...names.map((name) => create("option", { value: name, selected: name === chosen }, name)),
    );
  }

  source(name) {
    for (const each of ["file", "draw", "camera"]) byId(`try-${each}`).hidden = each !== name;
    this.chooseModel(name === "draw");
    this.picture = null;
    this.waiting = null;
    byId("try-answer").replaceChildren();
    this.onSource(name);
  }

  // Drawn digits are for the model that knows them; afterwards the one that was chosen is back.
  chooseModel(forDigits) {
    const select = byId("try-model");
    if (forDigits) this.chosen = select.value;
    const wanted = forDigits ? DIGITS : this.chosen;
    if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
  }

  file(file) {
    if (!file) return;
    const source = document.querySelector('[name="try-source"][value="file"]');
    if (!source.checked) {
      source.checked = true;
      this.source("file");
    }
    const preview = byId("try-preview");
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(file);
    preview.alt = `The picture ${file.name}`;
    preview.hidden = false;
    say(byId("try-drop-text"), file.name);
    this.send(file);
  }

  again() {
    if (this.picture) this.send(this.picture);
  }

  // Classify the bytes of a picture; of several the newest answer is shown.
  async send(picture) {
    const number = ++this.sent;
    this.picture = picture;
    this.waiting = null;
    const began = performance.now();
    try {
      const model = encodeURIComponent(byId("try-model").value);
      const reply = await (
        await post(`/v1/models/${model}/classify?top_k=${TOP_K}`, picture, "application/octet-stream")
      ).json();
      if (number === this.sent) byId("try-answer").replaceChildren(...answer(reply, performance.now() - began));
    } catch (error) {
      if (number === this.sent) this.refused(error);
    }
  }

  refused(error) {
    if (error.code === "measuring") {
      this.waiting = this.picture;
      const text =
        "A job is measuring: the agent takes no pictures meanwhile, so that numbers are never mixed. This one is sent again when the job is through.";
      byId("try-answer").replaceChildren(create("p", { class: "missing" }, text));
      return;
    }
    const known = error instanceof Refusal;
    const text = known ? `${error.message}. ${error.hint}` : "The agent does not answer.";
    byId("try-answer").replaceChildren(
      create("p", { class: "error" }, text),
      createButton("Send again", () => this.again()),
    );
  }

  // A job began or ended.
  jobRuns(running) {
    if (!running && this.waiting) this.send(this.waiting);
    if (!running) this.loadModels().catch(() => {});
  }
}

// Pictures that are dropped anywhere on the page, or pasted.
function takeDrops(take) {
  const drop = byId("try-drop");
  let inside = 0;
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
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}

function answer(reply, seen_ms) {
  return [labels(reply), stages(reply.timing_ms, seen_ms), model(reply)];
}

function labels(reply) {
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

function stages(times, seen_ms) {
  const there = STAGES.filter((stage) => times[stage] !== null && times[stage] !== undefined);
  const strip = create(
    "div",
    { class: "stages", "aria-hidden": "true" },
    ...there.map((stage) => {
      const part = create("span", { class: `stage ${stage}`, title: `${stage} ${milliseconds(times[stage])}` });
      part.style.flexGrow = times[stage];
      return part;
    }),
  );
  const list = createDefinitions([
    ...there.map((stage) => [stage, milliseconds(times[stage])]),
    ["agent in all", milliseconds(times.total)],
    ["seen from here", milliseconds(seen_ms)],
  ]);
  list.className = "stage-times";
  for (const [index, stage] of there.entries()) list.children[index].classList.add(stage);
  return create("div", {}, strip, list);
}

function model({ model: { name }, runtime, picture }) {
  const parts = [
    name,
    `${runtime.name} ${runtime.version} on ${runtime.device}`,
    runtime.delegate,
    `${picture.width} \u00d7 ${picture.height} ${picture.format}`,
  ];
  return create("p", { class: "quiet" }, parts.filter(Boolean).join(", "));
}
