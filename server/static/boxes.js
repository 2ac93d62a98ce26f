/**
 * Objects in a picture: their boxes over it, and a list that says the same in words.
 */

import { createScore, nameOf } from "./answers.js";
import { create } from "./dom.js";
import { plural } from "./format.js";
import { percent } from "./readings.js";

/**
 * Edges in shares of the picture's width and height, 0 to 1.
 * @typedef {{ left: number, top: number, right: number, bottom: number }} Edges
 */

const COLOURS = 6; // as many as page.css has for classes
const NEAR = 0.12; // of the picture: a label has no place above a box so near to the upper edge
const FAR = 0.7; // a label may not have a place to the right of this
const SIDEWAYS = 5; // EXIF orientations from this on turn the picture by a quarter

/**
 * Create the picture with its boxes, and the list of objects.
 * @param {Agent.DetectReply} reply
 * @param {Blob} image that was sent
 * @param {number} least score that was asked for
 */
export async function createObjects(reply, image, least) {
  const figure = await createFigure(reply, image);
  const items = reply.detections.map((found, number) => {
    const item = createScore(found);
    const swatch = create("span", { class: `swatch class-${found.index % COLOURS}`, "aria-hidden": "true" });
    item.children[0].prepend(swatch);
    item.append(create("small", {}, placeOf(found)));
    mark(item, figure.querySelectorAll(".box")[number]);
    return item;
  });
  const list = create("ol", { class: "labels objects", "aria-label": "Objects, best first", tabindex: 0 }, ...items);
  const summary = create("p", { class: "summary" }, summarise(reply.detections, least));
  return items.length ? [figure, summary, list] : [figure, summary];
}

/**
 * Say what was found, the most frequent first.
 * @param {readonly Agent.Detection[]} detections
 * @param {number} least
 */
function summarise(detections, least) {
  if (!detections.length) return `No object with a score of ${percent(least)} or more.`;
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of detections.map(nameOf)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort((one, other) => other[1] - one[1]).map(([name, count]) => `${count} \u00d7 ${name}`);
  return `${plural(detections.length, "object")}: ${parts.join(", ")}`;
}

/** @param {Agent.Detection} found */
function placeOf({ box_px: { left, top, right, bottom } }) {
  const [x, y, width, height] = [left, top, right - left, bottom - top].map(Math.round);
  return `${width} \u00d7 ${height} pixels at ${x}, ${y} of the file`;
}

/**
 * @param {Agent.DetectReply} reply
 * @param {Blob} image
 */
async function createFigure({ detections, image: stored }, image) {
  const picture = create("img", { alt: "The picture that was asked about" });
  picture.src = URL.createObjectURL(image);
  await picture.decode().catch(() => {}); // the list says the same
  URL.revokeObjectURL(picture.src);
  const upright = isShownUpright(picture, stored);
  const boxes = detections.map((found) => createBox(found, edgesOf(found.box_px, stored, upright)));
  const over = create("div", { class: "boxes", "aria-hidden": "true" }, ...boxes.reverse()); // the best on top
  return create("figure", { class: "found" }, picture, over);
}

/**
 * Tell whether the browser turned the picture as its EXIF orientation says: not all do for each format.
 * @param {HTMLImageElement} picture
 * @param {Agent.ImageInfo} stored
 */
function isShownUpright(picture, { width, height, exif_orientation }) {
  if (exif_orientation < SIDEWAYS || width === height) return true;
  return picture.naturalWidth > picture.naturalHeight === height > width;
}

/**
 * Bring a box in pixels of the file to the picture as it is shown, which may be turned or mirrored, and within it.
 * @param {Agent.Box} box
 * @param {Agent.ImageInfo} stored
 * @param {boolean} isUpright
 * @returns {Edges}
 */
function edgesOf(box, { width, height, exif_orientation }, isUpright) {
  const orientation = isUpright ? exif_orientation : 1;
  const within = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
  let [left, right] = [within(box.left / width), within(box.right / width)];
  let [top, bottom] = [within(box.top / height), within(box.bottom / height)];
  if ([2, 3, 7, 8].includes(orientation)) [left, right] = [1 - right, 1 - left];
  if ([3, 4, 6, 7].includes(orientation)) [top, bottom] = [1 - bottom, 1 - top];
  if (orientation >= SIDEWAYS) return { left: top, top: left, right: bottom, bottom: right };
  return { left, top, right, bottom };
}

/**
 * @param {Agent.Detection} found
 * @param {Edges} edges
 */
function createBox(found, { left, top, right, bottom }) {
  const tag = create("span", { class: "tag" }, `${nameOf(found)} ${percent(found.score)}`);
  const box = create("div", { class: `box class-${found.index % COLOURS}` }, tag);
  box.classList.toggle("near", top < NEAR);
  box.classList.toggle("far", left > FAR);
  Object.assign(box.style, {
    left: `${100 * left}%`,
    top: `${100 * top}%`,
    width: `${100 * Math.max(0, right - left)}%`,
    height: `${100 * Math.max(0, bottom - top)}%`,
  });
  return box;
}

/**
 * Show which box an item is about, while the pointer is on it.
 * @param {HTMLElement} item
 * @param {Element} box
 */
function mark(item, box) {
  item.addEventListener("pointerenter", () => box.classList.add("marked"));
  item.addEventListener("pointerleave", () => box.classList.remove("marked"));
}
