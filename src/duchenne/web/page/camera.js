// A photo from the visitor's camera.

const $ = (id) => document.getElementById(id);

export class Camera {
  // send: takes the file; failed: shows an error.
  constructor({ send, failed }) {
    [this.send, this.failed] = [send, failed];
    $("camera-card").hidden = !navigator.mediaDevices; // browsers give it to secure addresses only
    $("camera-open").addEventListener("click", () => this.open());
    $("camera-take").addEventListener("click", () => this.take());
    $("camera-close").addEventListener("click", () => this.close());
  }

  async open() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
      $("camera-view").srcObject = stream;
      await $("camera-view").play();
      this.shown(true);
    } catch (error) {
      this.failed(new Error(`The camera cannot be used: ${error.message}`));
    }
  }

  shown(yes) {
    $("camera-view").hidden = $("camera-take").hidden = $("camera-close").hidden = !yes;
    $("camera-open").hidden = yes;
  }

  close() {
    const stream = $("camera-view").srcObject;
    if (!stream) return;
    stream.getTracks().forEach((track) => track.stop());
    $("camera-view").srcObject = null;
    this.shown(false);
  }

  take() {
    const view = $("camera-view");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [view.videoWidth, view.videoHeight];
    canvas.getContext("2d").drawImage(view, 0, 0);
    canvas.toBlob((blob) => this.send(new File([blob], "camera.jpg")), "image/jpeg", 0.95);
  }
}
