// One slider for each Action Unit, whole or split into the person's right and left, by region.

const SIDES = [["R", "right"], ["L", "left"]]; // the person's right is on the picture's left
const NARROW = "(max-width: 800px)"; // as in studio.css
const OPEN = "mouth"; // the group that is open on a narrow screen too: most expressions need it

export class Sliders {
  // changed(done) is called while a slider moves (false) and when it came to rest (true).
  constructor(root, about, changed) {
    this.codes = about.units.map((unit) => unit.code);
    this.changed = changed;
    this.wereSet = () => {}; // called when the values came from elsewhere than a slider
    this.rows = new Map();
    this.groups = new Map();
    for (const zone of about.zones) {
      const units = about.units.filter((unit) => unit.area === zone);
      if (units.length) root.append(this.group(zone, units));
    }
  }

  group(zone, units) {
    const group = element("details", "", { class: `zone zone-${zone}`, "aria-labelledby": `zone-${zone}` });
    group.open = true;
    const title = document.createElement("summary");
    const moved = element("span", "", { class: "moved" });
    title.append(element("span", zone, { id: `zone-${zone}`, class: "zone-name" }), moved);
    group.append(title);
    this.groups.set(zone, { group, moved, codes: units.map((unit) => unit.code) });
    for (const unit of units) group.append(this.row(unit));
    return group;
  }

  // How a face starts: where room is short, only what moves and the mouth are open.
  fold() {
    if (!matchMedia(NARROW).matches) return;
    for (const [zone, { group, codes }] of this.groups) {
      group.open = zone === OPEN || codes.some((code) => this.moves(code));
    }
  }

  row(unit) {
    const row = document.createElement("div");
    row.className = "unit";
    row.innerHTML = `<svg viewBox="0 0 48 48" class="drawing" aria-hidden="true" focusable="false">${unit.drawing}</svg>`;
    const name = document.createElement("div");
    name.className = "unit-name";
    name.id = `name-${unit.code}`;
    name.append(element("b", `AU${unit.number}`), " ", unit.name, element("small", unit.muscle));
    const split = element("button", "L|R");
    split.type = "button";
    split.className = "split";
    split.id = `split-${unit.code}`;
    split.title = "Move the two sides apart";
    split.setAttribute("aria-label", `${unit.code}: left and right apart`);
    setPressed(split, false);
    const bars = document.createElement("div");
    bars.className = "bars";
    const inputs = { "": this.bar(unit, "", "") };
    for (const [side, word] of SIDES) inputs[side] = this.bar(unit, side, word);
    for (const { line } of Object.values(inputs)) bars.append(line);
    row.append(name, split, bars);
    this.rows.set(unit.code, { unit, row, split, inputs });
    this.show(unit.code, false);
    split.addEventListener("click", () => this.toggle(unit.code));
    return row;
  }

  bar(unit, side, word) {
    const line = document.createElement("div");
    line.className = "bar-line";
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
    input.id = `slider-${unit.code}${side}`;
    input.setAttribute("aria-label", `${unit.code}, ${unit.name}, ${unit.muscle}${word && `, ${word} side`}`);
    const value = element("output", "0");
    value.htmlFor = input.id;
    if (word) line.append(element("span", word));
    line.append(input, value);
    input.addEventListener("input", () => {
      this.mark(unit.code);
      this.changed(false);
    });
    input.addEventListener("change", () => this.changed(true));
    input.addEventListener("dblclick", () => {
      input.value = 0;
      this.mark(unit.code);
      this.changed(true);
    });
    return { line, input, value };
  }

  isSplit(code) {
    return isPressed(this.rows.get(code).split);
  }

  show(code, apart) {
    const { split, inputs, row } = this.rows.get(code);
    setPressed(split, apart);
    inputs[""].line.hidden = apart;
    for (const [side] of SIDES) inputs[side].line.hidden = !apart;
    row.classList.toggle("apart", apart);
  }

  toggle(code) {
    const { inputs } = this.rows.get(code);
    const apart = !this.isSplit(code);
    if (apart) for (const [side] of SIDES) inputs[side].input.value = inputs[""].input.value;
    else inputs[""].input.value = (Number(inputs.L.input.value) + Number(inputs.R.input.value)) / 2;
    this.show(code, apart);
    this.mark(code);
    this.changed(true);
  }

  moves(code) {
    return this.rows.get(code).row.classList.contains("active");
  }

  mark(code) {
    const { inputs, row, unit } = this.rows.get(code);
    let active = false;
    for (const { input, value, line } of Object.values(inputs)) {
      value.textContent = Number(input.value).toFixed(2).replace(/\.?0+$/, "");
      input.style.setProperty("--filled", `${Number(input.value) * 100}%`);
      active ||= !line.hidden && Number(input.value) > 0;
    }
    row.classList.toggle("active", active);
    const { moved, codes } = this.groups.get(unit.area);
    const count = codes.filter((other) => this.moves(other)).length;
    moved.textContent = count ? ` · ${count} moved` : "";
  }

  // The Action Units that are not zero: {AU12: 0.8, AU6L: 0.3}
  get values() {
    const found = {};
    for (const code of this.codes) {
      const { inputs } = this.rows.get(code);
      for (const side of this.isSplit(code) ? ["R", "L"] : [""]) {
        const value = Number(inputs[side].input.value);
        if (value) found[code + side] = value;
      }
    }
    return found;
  }

  set values(wanted) {
    for (const code of this.codes) {
      const { inputs } = this.rows.get(code);
      const apart = `${code}L` in wanted || `${code}R` in wanted;
      for (const side of ["", "R", "L"]) inputs[side].input.value = wanted[code + side] ?? 0;
      this.show(code, apart);
      this.mark(code);
    }
    this.wereSet();
  }
}

export function setPressed(button, yes) {
  button.setAttribute("aria-pressed", String(Boolean(yes)));
}

export function isPressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

export function togglePressed(button) {
  setPressed(button, !isPressed(button));
  return isPressed(button);
}

export function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
