// Keyframes in a table, their curves, and films made of them.

import { follow, leftText, post, showProgress, stageText } from "./ask.js";
import { Recording } from "./recording.js";
import { element } from "./sliders.js";

const $ = (id) => document.getElementById(id);
const RISE = [[0, 0, "linear"], [0.6, 1, "natural"], [1.4, 1, "linear"], [2.2, 0, "smooth"]];

export class Timeline {
  constructor(about, { values, failed, say, sitter }) {
    Object.assign(this, { about, values, failed, say, sitter });
    this.body = $("keys").tBodies[0];
    this.driver = new Recording({ changed: (told) => this.driven(told), failed });
    this.working = false;
    $("fps").value = about.fps;
    for (const format of about.film_formats) {
      $("film-format").append(new Option(format === "frames" ? "PNG frames (zip)" : format, format));
    }
    for (const size of about.sizes) $("film-size").append(new Option(size ? `${size} px` : "full size", size));
    $("film-size").value = "512";
    $("key-add").addEventListener("click", () => this.add(["AU12", 0, 0, "linear"], true));
    $("key-now").addEventListener("click", () => this.addNow());
    $("rise").addEventListener("click", () => this.rise());
    $("keys-clear").addEventListener("click", () => this.clear());
    $("table-file").addEventListener("change", () => this.read());
    for (const id of ["fps", "ping-pong", "blink", "loop"]) $(id).addEventListener("change", () => this.check());
    $("play").addEventListener("click", () => this.make(true));
    $("film-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.make(false);
    });
    $("film-cancel").addEventListener("click", () => post("/api/job/cancel").catch(this.failed));
  }

  add([code, time, value, easing], changed = false) {
    const row = document.createElement("tr");
    const unit = element("select", "", { "aria-label": "Action Unit" });
    for (const { code: name } of this.about.units) {
      unit.append(new Option(name, name), new Option(`${name} left`, `${name}L`), new Option(`${name} right`, `${name}R`));
    }
    unit.value = code;
    // A file may name a unit that is not offered; the server says what is the matter with it.
    if (unit.value !== code) unit.append(new Option(code, code, true, true));
    const at = element("input", "", { type: "number", min: 0, max: 600, step: 0.01, "aria-label": "Time in seconds" });
    at.value = time;
    const level = element("input", "", { type: "number", min: 0, max: 1, step: 0.01, "aria-label": "Intensity" });
    level.value = value;
    const curve = element("select", "", { "aria-label": "How it is reached" });
    for (const name of this.about.easings) curve.append(new Option(name, name));
    curve.value = easing;
    const remove = element("button", "×", { type: "button", "aria-label": "Remove this key" });
    remove.addEventListener("click", () => {
      row.remove();
      this.check();
    });
    for (const part of [unit, at, level, curve, remove]) {
      const cell = document.createElement("td");
      cell.append(part);
      row.append(cell);
    }
    row.addEventListener("change", () => this.check());
    this.body.append(row);
    if (changed) {
      this.dropRecording();
      this.check();
    }
  }

  get keys() {
    const rows = [...this.body.rows].map((row) => {
      const [unit, at, level, curve] = [...row.querySelectorAll("select, input")].map((x) => x.value);
      return [unit, Number(at), Number(level), curve];
    });
    return rows.sort((a, b) => a[0].localeCompare(b[0]) || a[1] - b[1]);
  }

  rise() {
    const values = Object.entries(this.values());
    if (!values.length) {
      this.failed(new Error("Move a slider or choose an expression first."));
      return;
    }
    this.clear(false);
    for (const [code, value] of values) {
      for (const [time, part, easing] of RISE) this.add([code, time, +(value * part).toFixed(2), easing]);
    }
    this.check();
  }

  addNow() {
    const time = Number($("key-time").value);
    const values = this.values();
    // What has keys already and is at zero now needs one too, or it would go on.
    for (const [code] of this.keys) if (!(code in values)) values[code] = 0;
    this.dropRecording();
    for (const [code, value] of Object.entries(values)) this.add([code, time, value, "smooth"]);
    $("key-time").value = +(time + 0.5).toFixed(2);
    this.check();
  }

  clear(changed = true) {
    this.body.replaceChildren();
    this.dropRecording();
    if (changed) this.check();
  }

  get recording() {
    return this.driver.follows;
  }

  dropRecording() {
    this.driver.drop();
  }

  // The film has the recording's rate, until another one is asked for.
  driven(told) {
    $("fps").value = +told.fps.toFixed(3);
    this.show(told);
  }

  async read() {
    const [file] = $("table-file").files;
    $("table-file").value = "";
    if (!file) return;
    if (file.size > this.about.table_bytes) {
      this.failed(new Error(`${file.name} is too large; at most ${this.about.table_bytes / 1e6} MB`));
      return;
    }
    try {
      const told = await this.driver.read(file, "");
      this.body.replaceChildren();
      if (told.kind === "recording") this.driven(told);
      else {
        this.dropRecording();
        for (const row of told.rows) this.add(row);
        await this.check();
      }
    } catch (error) {
      this.failed(error);
    }
  }

  wanted() {
    return {
      keys: this.keys,
      recording: this.recording,
      fps: $("fps").value,
      ping_pong: $("ping-pong").checked,
      blink: $("blink").checked,
      loop: Number($("loop").value),
    };
  }

  async check() {
    if (!this.recording && !this.body.rows.length) {
      this.show({ curves: {}, frames: 0, seconds: 0 });
      return;
    }
    try {
      this.show(await post("/api/timeline/keys", this.wanted()));
    } catch (error) {
      $("film-length").textContent = error.message;
    }
  }

  show({ curves, frames, seconds, too_long: tooLong }) {
    const lines = Object.entries(curves).map(([code, values]) => {
      const area = this.about.units.find((unit) => unit.code === code.replace(/[LR]$/, ""))?.area;
      const last = Math.max(1, values.length - 1);
      const points = values.map((v, i) => `${((600 * i) / last).toFixed(1)},${(114 - 108 * v).toFixed(1)}`);
      return `<polyline class="curve zone-${area}" points="${points.join(" ")}"><title>${code}</title></polyline>`;
    });
    $("curves").innerHTML = lines.join("");
    $("curves").setAttribute("aria-label", `Intensities over time of ${Object.keys(curves).join(", ") || "nothing yet"}`);
    const limit = tooLong ? `; at most ${this.about.film_frames} here` : "";
    $("film-length").textContent = frames ? `${frames} frames, ${seconds.toFixed(2)} s${limit}` : "No keys yet.";
  }

  async make(play) {
    if (this.working) return;
    if (!this.recording && !this.body.rows.length) this.rise();
    if (!this.recording && !this.body.rows.length) return;
    this.working = true;
    const paste = $("film-paste").checked && this.sitter().photo;
    const shape = play ? { format: this.about.film_formats[0], longest: 256 } : { format: $("film-format").value, longest: Number($("film-size").value) };
    $("film-wait").hidden = false;
    try {
      const job = await follow(await post("/api/film", { ...this.wanted(), ...shape, paste }), (state) => {
        showProgress($("film-bar"), state);
        $("film-stage").textContent = [stageText(state), leftText(state.left)].filter(Boolean).join(", ");
      });
      if (job.state === "done") this.result(job.result, play);
    } catch (error) {
      this.failed(error);
    } finally {
      this.working = false;
      $("film-wait").hidden = true;
    }
  }

  result({ file, table, frames, width, height, bytes, media_type }, play) {
    const parts = [];
    if (media_type.startsWith("video/")) {
      const film = element("video", "", { controls: "", loop: "", playsinline: "", src: `/api/file/${file}?play`, "aria-label": "The film" });
      film.muted = true;
      film.autoplay = play;
      parts.push(film);
    } else if (media_type.startsWith("image/")) {
      parts.push(element("img", "", { src: `/api/file/${file}?play`, alt: "The film" }));
    }
    if (!play) {
      const size = `${frames} frames, ${width}×${height}, ${(bytes / 1e6).toFixed(1)} MB`;
      parts.push(
        element("a", `Download the film (${size})`, { href: `/api/file/${file}`, download: "", class: "button main", id: "film-link" }),
        element("a", "Download its table (CSV)", { href: `/api/file/${table}`, download: "", class: "button", id: "table-link" }),
      );
    }
    $("film-result").replaceChildren(...parts);
    this.say(play ? "The film plays." : "The film is ready.");
  }
}
