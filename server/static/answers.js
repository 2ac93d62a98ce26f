/**
 * What came back for a picture, of whatever task: its parts as elements.
 */

import { create } from "./dom.js";
import { createDefinitions } from "./elements.js";
import { milliseconds, percent } from "./readings.js";

/** @typedef {import("./elements.js").Definition} Definition */

/** @typedef {Exclude<keyof Agent.StageTimes, "total">} Stage */

/** @type {readonly Stage[]} */
const STAGES = ["queue", "load", "decode", "preprocess", "inference", "postprocess", "suppression"];

/**
 * Create what an answer to a picture is shown as.
 * @param {Agent.ClassifyReply | Agent.DetectReply} reply
 * @param {readonly Element[]} found what the picture shows
 * @param {number} seen_ms
 */
export function createAnswer(reply, found, seen_ms) {
  return [...found, createStages(reply.timing_ms, seen_ms), createModelLine(reply)];
}

/** @param {Agent.ClassifyReply} reply */
export function createLabels(reply) {
  return create("ol", { class: "labels", "aria-label": "Classes, best first" }, ...reply.predictions.map(createScore));
}

/**
 * Create the line of a class or an object: what it is called, and its score as a bar and a number.
 * @param {Agent.Prediction | Agent.Detection} found
 */
export function createScore(found) {
  const bar = create("span", { class: "bar" });
  bar.style.width = `${100 * found.score}%`;
  return create(
    "li",
    {},
    create("span", { class: "label" }, nameOf(found)),
    create("span", { class: "track", "aria-hidden": "true" }, bar),
    create("span", { class: "score" }, percent(found.score, 1)),
  );
}

/** @param {Agent.Prediction | Agent.Detection} found */
export const nameOf = (found) => found.label ?? `class ${found.index}`;

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

/** @param {Agent.ClassifyReply | Agent.DetectReply} reply */
function createModelLine({ model: { name }, runtime, image }) {
  const parts = [
    name,
    `${runtime.name} ${runtime.version} on ${runtime.device}`,
    runtime.delegate,
    `${image.width} \u00d7 ${image.height} ${image.format}`,
  ];
  return create("p", { class: "quiet" }, parts.filter(Boolean).join(", "));
}
