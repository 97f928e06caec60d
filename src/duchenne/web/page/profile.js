// What the sliders ask for beside what the scorer measures on the picture.

import { post } from "./ask.js";
import { element } from "./sliders.js";

export class Profile {
  constructor(root, about, state) {
    this.root = root;
    this.about = about;
    this.state = state;
    this.table = root.querySelector("table");
    this.note = root.querySelector("#profile-note");
    this.asking = false;
    if (about.cannot_measure) this.note.textContent = about.cannot_measure;
    root.addEventListener("toggle", () => this.refresh());
  }

  async refresh() {
    if (!this.root.open || this.about.cannot_measure || this.asking) return;
    const { au } = this.state();
    this.asking = true;
    try {
      this.draw(au, await post("/api/profile", { au }));
      this.note.classList.remove("bad");
    } catch (error) {
      this.note.textContent = error.message;
      this.note.classList.add("bad");
    } finally {
      this.asking = false;
    }
    if (JSON.stringify(this.state().au) !== JSON.stringify(au)) await this.refresh();
  }

  draw(au, measured) {
    const rows = this.about.units.map((unit) => {
      const sides = [au[`${unit.code}L`] ?? 0, au[`${unit.code}R`] ?? 0];
      const asked = au[unit.code] ?? (sides[0] + sides[1]) / 2;
      const [rest, now] = [measured.rest[unit.code], measured.now[unit.code]];
      const row = document.createElement("tr");
      row.className = `zone-${unit.area}`;
      row.append(
        element("th", unit.code, { scope: "row", title: unit.name }),
        ...[asked, now, rest].map((value) => element("td", value.toFixed(2))),
      );
      const cell = element("td", "", { class: "wide" });
      cell.append(bar(asked, now, rest));
      row.append(cell);
      return row;
    });
    this.table.tBodies[0].replaceChildren(...rows);
    this.table.hidden = false;
  }
}

// Outlined: asked. Filled: measured. A line: at rest. The numbers stand beside it.
function bar(asked, now, rest) {
  const width = (value) => (100 * Math.min(1, Math.max(0, value))).toFixed(1);
  const holder = document.createElement("div");
  holder.innerHTML = `<svg class="bars-svg" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
    <rect class="asked" x="0" y="1" width="${width(asked)}" height="5"/>
    <rect class="measured" x="0" y="8" width="${width(now)}" height="5"/>
    <path class="rest" d="M${width(rest)} 7v7"/></svg>`;
  return holder.firstElementChild;
}
