// A recording as the film's motion: which of its faces, at which rate, how sure.

import { upload } from "./ask.js";

const $ = (id) => document.getElementById(id);
const FIELDS = { source_fps: "source-fps", follow: "follow", confidence: "confidence" };

export class Recording {
  constructor({ changed, failed }) {
    Object.assign(this, { changed, failed });
    this.file = null;
    for (const id of Object.values(FIELDS)) $(id).addEventListener("change", () => this.again());
  }

  get follows() {
    return this.file !== null;
  }

  // fps: the film's, "" for the recording's own. What the server read, of a recording or of keys.
  async read(file, fps) {
    const fresh = file !== this.file;
    const wanted = { fps };
    for (const [name, id] of Object.entries(FIELDS)) wanted[name] = fresh ? "" : $(id).value;
    const told = await upload("/api/timeline/file", file, file.name, wanted);
    if (told.kind !== "recording") return told;
    if (fresh) this.offer(told.faces);
    this.file = file;
    $("recording-options").hidden = false;
    $("recording-note").hidden = false;
    $("recording-note").textContent = [`The film follows the recording ${file.name}.`, ...told.notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`)].join(" ");
    return told;
  }

  async again() {
    if (!this.follows) return;
    try {
      this.changed(await this.read(this.file, ""));
    } catch (error) {
      this.failed(error);
    }
  }

  offer(faces) {
    for (const id of ["source-fps", "confidence"]) $(id).value = "";
    $("follow").replaceChildren(new Option("seen most", ""), ...faces.map((name) => new Option(name, name)));
    for (const part of document.querySelectorAll(".follow")) part.hidden = faces.length < 2;
  }

  drop() {
    this.file = null;
    $("recording-note").hidden = true;
    $("recording-options").hidden = true;
  }
}
