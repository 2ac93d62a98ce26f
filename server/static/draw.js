/**
 * Paper to draw digits on. A classifier is sent one cut to the ink, as the pictures were that it learned from; a
 * detector the whole paper.
 */

import { byId } from "./dom.js";

const PEN = 32;
const FINE_PEN = 12; // for several digits on one paper
const SENT = 128; // pixels a side
const INK_HEIGHT = 112; // the pictures that the model learned from are nearly filled from top to bottom,
const INK_WIDTH = 88; // and two thirds as wide
const SETTLE_MS = 400; // after the last stroke

/**
 * Make the paper ready.
 * @param {() => void} onDrawn is called when something was drawn
 */
export function preparePaper(onDrawn) {
  const canvas = byId("draw-canvas", HTMLCanvasElement);
  const pen = penOn(canvas.getContext("2d", { willReadFrequently: true }));
  /** @type {number | undefined} */
  let timer;

  function clear() {
    clearTimeout(timer);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(pen, { lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  }

  /**
   * @param {PointerEvent} event
   * @returns {[x: number, y: number]}
   */
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * canvas.width,
      ((event.clientY - box.top) / box.height) * canvas.height,
    ];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    clearTimeout(timer);
    pen.beginPath();
    pen.moveTo(...at(event));
    pen.lineTo(...at(event)); // a tap is a dot
    pen.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    pen.lineTo(...at(event));
    pen.stroke();
  });
  canvas.addEventListener("pointerup", () => {
    timer = setTimeout(onDrawn, SETTLE_MS);
  });
  byId("draw-clear").addEventListener("click", clear);
  pen.lineWidth = PEN;
  clear();
  return {
    clear,
    /** @param {boolean} isFine */
    takePen: (isFine) => {
      pen.lineWidth = isFine ? FINE_PEN : PEN;
    },
    /** @param {boolean} isWhole */
    image: async (isWhole) => {
      const ink = cutInk(canvas, pen);
      return isWhole && ink ? wholeOf(canvas) : (ink?.convertToBlob({ type: "image/png" }) ?? null);
    },
  };
}

/**
 * The means to draw, which every browser has that shows this page.
 * @template Pen
 * @param {Pen | null} pen
 * @returns {Pen}
 */
function penOn(pen) {
  if (pen === null) throw new TypeError("This browser cannot draw on a canvas");
  return pen;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob | null>}
 */
const wholeOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

/**
 * Cut out the ink, as large as it fits on fresh paper; null where there is none.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2D} pen
 */
function cutInk(canvas, pen) {
  const box = findInk(pen.getImageData(0, 0, canvas.width, canvas.height));
  if (!box) return null;
  const fresh = new OffscreenCanvas(SENT, SENT);
  const target = penOn(fresh.getContext("2d"));
  target.fillStyle = "#fff";
  target.fillRect(0, 0, SENT, SENT);
  target.imageSmoothingQuality = "high";
  const height = INK_HEIGHT;
  const width = Math.min(INK_WIDTH, (box.width * INK_HEIGHT) / box.height);
  target.drawImage(
    canvas,
    box.left,
    box.top,
    box.width,
    box.height,
    (SENT - width) / 2,
    (SENT - height) / 2,
    width,
    height,
  );
  return fresh;
}

/**
 * Find where the ink is.
 * @param {ImageData} image
 */
function findInk({ data, width, height }) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (data[4 * (y * width + x)] > 200) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}
