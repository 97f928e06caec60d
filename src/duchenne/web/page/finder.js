// Which sliders are shown: those that a search finds, or those that move. The others keep their values.

import { isPressed, setPressed, togglePressed } from "./sliders.js";

const $ = (id) => document.getElementById(id);

// Every word is a number ("12", "AU12") or a part of the FACS name or of the muscle.
function fits(unit, words) {
  const text = `${unit.code} ${unit.name} ${unit.muscle}`.toLowerCase();
  return words.every((word) => (/^(au)?\d+$/.test(word) ? Number(word.replace("au", "")) === unit.number : text.includes(word)));
}

export class Finder {
  constructor(sliders) {
    this.sliders = sliders;
    this.folds = null; // which groups were open before a search opened others
    $("find").addEventListener("input", () => this.show());
    $("find").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      $("find").value = "";
      this.show();
    });
    $("only-moved").addEventListener("click", () => {
      togglePressed($("only-moved"));
      this.show();
    });
    // A slider that is moved to zero by hand stays until then: it must not go from under the hand.
    sliders.wereSet = () => this.show();
  }

  clear() {
    $("find").value = "";
    setPressed($("only-moved"), false);
    this.show();
  }

  show() {
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = isPressed($("only-moved"));
    const all = !words.length && !only;
    const { rows, groups } = this.sliders;
    if (!all) this.folds ??= new Map([...groups].map(([zone, { group }]) => [zone, group.open]));
    let count = 0;
    for (const [zone, { group, codes }] of groups) {
      const shown = codes.filter((code) => {
        const { unit, row } = rows.get(code);
        const moves = this.sliders.moves(code) || row.contains(document.activeElement);
        row.hidden = !fits(unit, words) || (only && !moves);
        return !row.hidden;
      });
      count += shown.length;
      group.hidden = !shown.length;
      if (!all) group.open = true;
      else if (this.folds) group.open = this.folds.get(zone);
    }
    if (all) this.folds = null;
    $("find-note").textContent = all ? "" : this.note(count, words.join(" "), only);
  }

  note(count, wanted, only) {
    if (count) return `${count} of ${this.sliders.rows.size} sliders shown`;
    if (!wanted) return "No slider is moved.";
    return `No ${only ? "moved " : ""}slider matches “${wanted}”.`;
  }
}
