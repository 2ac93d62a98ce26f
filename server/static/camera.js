/**
 * What the camera sees, once or every second. It is switched off as soon as it is not looked at.
 */

import { byId, create } from "./dom.js";

const EVERY_MS = 1000;
const QUALITY = 0.9;

/** The camera of whoever looks at the page. */
export class Camera {
  /**
   * @param {(image: Blob) => Promise<void>} send gives a promise that ends with the answer
   */
  constructor(send) {
    this.send = send;
    /** @type {MediaStream | null} */
    this.stream = null;
    this.timer = 0;
    this.video = byId("camera-video", HTMLVideoElement);
    this.following = byId("camera-follow", HTMLInputElement);
    byId("camera-shoot").addEventListener("click", () => this.shoot());
    this.following.addEventListener("change", () => this.follow());
    document.addEventListener("visibilitychange", () => document.hidden && this.close());
  }

  /** Switch it on, or say why it cannot be. */
  async open() {
    const media = navigator.mediaDevices; // there on https and on loopback only
    try {
      if (!media) throw new DOMException("", "SecurityError");
      this.stream = await media.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      byId("try-answer").replaceChildren(create("p", { class: "error" }, explain(error)));
      return;
    }
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** Switch it off. */
  close() {
    clearTimeout(this.timer);
    this.following.checked = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = this.video.srcObject = null;
  }

  /** Send what it sees. */
  async shoot() {
    if (!this.stream) await this.open();
    if (!this.stream || !this.video.videoWidth) return;
    const frame = new OffscreenCanvas(this.video.videoWidth, this.video.videoHeight);
    frame.getContext("2d")?.drawImage(this.video, 0, 0);
    await this.send(await frame.convertToBlob({ type: "image/jpeg", quality: QUALITY }));
  }

  /** Send what it sees every second, while that is wanted. */
  async follow() {
    clearTimeout(this.timer);
    if (!this.following.checked) return;
    await this.shoot();
    this.timer = setTimeout(() => this.follow(), EVERY_MS);
  }
}

/**
 * Say why the camera cannot be used.
 * @param {unknown} error
 */
function explain(error) {
  if (!(error instanceof Error)) return `The camera cannot be used: ${error}`;
  if (error.name === "NotAllowedError")
    return "The browser does not let this page use the camera. Allow it, and choose Camera again.";
  if (error.name === "NotFoundError") return "No camera was found.";
  if (error.name === "SecurityError") return "Browsers give the camera to pages on https or on this machine only.";
  return `The camera cannot be used: ${error.message}`;
}
