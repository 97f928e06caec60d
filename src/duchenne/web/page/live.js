// The visitor's camera drives the face: each picture is measured, and the sliders follow.

import { upload } from "./ask.js";
import { setPressed } from "./sliders.js";

const $ = (id) => document.getElementById(id);
const LONGEST = 640; // px of what is sent; the face is looked at in 256
const NO_FACE = "No face is seen; look into the camera.";
const AT_REST = "Keep your face at rest for a moment …";

export class Live {
  // drive(au): shows an expression; ended(): once, after the last one. failed shows an error.
  constructor(about, { drive, ended, failed }) {
    Object.assign(this, { drive, ended, failed });
    this.stream = null;
    this.again = false; // the rest is to be taken anew
    // Browsers give the camera to secure addresses only.
    $("live-row").hidden = !navigator.mediaDevices || Boolean(about.cannot_measure);
    $("live").addEventListener("click", () => (this.stream ? this.stop() : this.start()));
    $("live-rest").addEventListener("click", () => {
      this.again = true;
    });
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGEST }, facingMode: "user" } });
      $("live-view").srcObject = this.stream;
      await $("live-view").play();
    } catch (error) {
      this.stop();
      this.failed(new Error(`The camera cannot be used: ${error.message}`));
      return;
    }
    this.again = true;
    this.shown(true);
    try {
      while (this.stream) await this.look();
    } catch (error) {
      this.failed(error);
    }
    this.stop();
    this.ended();
  }

  async look() {
    const rest = this.again;
    this.again = false;
    const seen = await upload("/api/live", await this.grab(), "camera.jpg", rest ? { rest: 1 } : {});
    if (!this.stream) return;
    $("live-note").textContent = seen.au === null ? NO_FACE : seen.at_rest ? AT_REST : "";
    if (seen.au !== null && !seen.at_rest) this.drive(seen.au);
  }

  grab() {
    const view = $("live-view");
    const scale = Math.min(1, LONGEST / Math.max(view.videoWidth, view.videoHeight));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [view.videoWidth, view.videoHeight].map((side) => Math.round(scale * side));
    canvas.getContext("2d").drawImage(view, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  }

  shown(yes) {
    $("live-view").hidden = $("live-rest").hidden = !yes;
    $("live").textContent = yes ? "Stop the camera" : "Drive with the camera";
    $("live-note").textContent = "";
    setPressed($("live"), yes);
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    $("live-view").srcObject = null;
    this.shown(false);
  }
}
