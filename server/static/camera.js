// What the camera sees, once or every second. It is switched off as soon as it is not looked at.

import { byId, create } from "./dom.js";

const EVERY_MS = 1000;
const QUALITY = 0.9;

export class Camera {
  // `send(blob)` gives a promise that ends with the answer.
  constructor(send) {
    this.send = send;
    this.stream = null;
    this.video = byId("camera-video");
    byId("camera-shoot").addEventListener("click", () => this.shoot());
    byId("camera-follow").addEventListener("change", () => this.follow());
    document.addEventListener("visibilitychange", () => document.hidden && this.close());
  }

  async open() {
    const media = navigator.mediaDevices; // there on https and on loopback only
    try {
      if (!media) throw new DOMException("", "SecurityError");
      this.stream = await media.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      byId("try-answer").replaceChildren(create("p", { class: "error" }, reason(error)));
      return;
    }
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  close() {
    clearTimeout(this.timer);
    byId("camera-follow").checked = false;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
  }

  async shoot() {
    if (!this.stream) await this.open();
    if (!this.stream || !this.video.videoWidth) return;
    const frame = new OffscreenCanvas(this.video.videoWidth, this.video.videoHeight);
    frame.getContext("2d").drawImage(this.video, 0, 0);
    await this.send(await frame.convertToBlob({ type: "image/jpeg", quality: QUALITY }));
  }

  async follow() {
    clearTimeout(this.timer);
    if (!byId("camera-follow").checked) return;
    await this.shoot();
    this.timer = setTimeout(() => this.follow(), EVERY_MS);
  }
}

function reason(error) {
  if (error.name === "NotAllowedError")
    return "The browser does not let this page use the camera. Allow it, and choose Camera again.";
  if (error.name === "NotFoundError") return "No camera was found.";
  if (error.name === "SecurityError") return "Browsers give the camera to pages on https or on this machine only.";
  return `The camera cannot be used: ${error.message}`;
}
