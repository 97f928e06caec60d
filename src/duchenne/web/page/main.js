// The page: three views (choose a face, wait, move it), and what leads from one to the next.

import { follow, get, leftText, post, Problem, showProgress, stageText, upload } from "./ask.js";
import { Camera } from "./camera.js";
import { Finder } from "./finder.js";
import { Live } from "./live.js";
import { Preview } from "./preview.js";
import { Profile } from "./profile.js";
import { element, isPressed, setPressed, Sliders, togglePressed } from "./sliders.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const VIEWS = ["start", "choose", "wait", "face"];
const FACE = "#face"; // the address of the face, so that the back button leads to the start

let about;
let camera;
let sliders;
let finder;
let live;
let preview;
let profile;
let timeline;
let sitter = null;
let past = []; // slider states; the last one is shown
let future = [];

// ---------------------------------------------------------------- messages and views

function failed(error) {
  if (error.status === 410) {
    sitter = null;
    show("start");
  }
  $("problem").textContent = error.message;
  $("problem").hidden = false;
  if (!(error instanceof Problem)) console.error(error);
}

function say(text) {
  $("status").textContent = text;
}

function show(view) {
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  $("to-start").hidden = view !== "face" && view !== "choose";
  $("to-face").hidden = !(sitter && view === "start");
  $("leave").hidden = !sitter;
  if (view !== "start") camera.close();
  if (view !== "face") live.stop();
  $(`${view}-title`).focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function fromAddress() {
  $("problem").hidden = true;
  show(location.hash === FACE && sitter ? "face" : "start");
}

// ---------------------------------------------------------------- choosing a face

async function work(start) {
  $("problem").hidden = true;
  show("wait");
  $("wait-stage").textContent = "Sending";
  $("wait-left").textContent = "";
  try {
    const job = await follow(await start(), (state) => {
      $("wait-stage").textContent = stageText(state);
      $("wait-left").textContent = leftText(state.left);
      showProgress($("wait-bar"), state);
    });
    if (job.result.choose) choose(job.result.choose);
    else if (job.result.sitter) await seat(job.result.sitter);
    else fromAddress();
  } catch (error) {
    show(location.hash === FACE && sitter ? "face" : "start");
    failed(error);
  }
}

function sendPhoto(file) {
  if (file.size > about.photo_bytes) {
    failed(new Error(`${file.name} is too large: ${(file.size / 1e6).toFixed(0)} MB, at most ${about.photo_bytes / 1e6} MB`));
    return;
  }
  work(() => upload("/api/photo", file, file.name, { quality: $("quality").value }));
}

function choose(faces) {
  const root = $("boxes");
  root.querySelectorAll("button").forEach((old) => old.remove());
  $("boxes-photo").src = `/api/photo?${Date.now()}`;
  faces.forEach((face, index) => {
    const box = element("button", String(index + 1), { type: "button", class: "box", "aria-label": `Face ${index + 1} of ${faces.length}` });
    for (const side of ["left", "top", "width", "height"]) box.style[side] = `${100 * face[side]}%`;
    box.addEventListener("click", () => work(() => post("/api/face", { index, quality: $("quality").value })));
    root.append(box);
  });
  show("choose");
}

async function seat(newcomer) {
  sitter = newcomer;
  past = [{}];
  future = [];
  sliders.values = {};
  timeline.clear();
  $("film-result").replaceChildren();
  if (location.hash === FACE) history.replaceState(null, "", FACE);
  else history.pushState(null, "", FACE);
  await open();
}

async function open() {
  $("show-photo").hidden = $("film-paste-row").hidden = !sitter.photo;
  setPressed($("show-photo"), sitter.photo);
  $("film-paste").checked = sitter.photo;
  $("caption").textContent = sitter.photo ? sitter.name : `Person ${sitter.seed}, who does not exist`;
  $("compare").value = 0;
  preview.compare(0);
  setPressed($("show-before"), false);
  finder.clear();
  sliders.fold();
  show("face");
  preview.rest();
  await preview.showBefore();
  await regions();
  recipe();
}

// ---------------------------------------------------------------- moving the face

function pasting() {
  return sitter.photo && isPressed($("show-photo"));
}

function asked() {
  return { au: sliders.values, paste: pasting() };
}

function changed(done) {
  $("problem").hidden = true;
  if (!done) {
    preview.moving();
    return;
  }
  past.push(sliders.values);
  future = [];
  refresh();
}

function go(values) {
  sliders.values = values;
  refresh();
}

function refresh() {
  $("undo").disabled = past.length < 2;
  $("redo").disabled = !future.length;
  sessionStorage.setItem("sliders", JSON.stringify({ serial: sitter.serial, past, future }));
  nameVariant();
  preview.rest();
}

// The list names what the sliders show, or nothing, so that any of it can be chosen next.
function nameVariant() {
  const now = sliders.values;
  const same = (values) => Object.keys(values).length === Object.keys(now).length && Object.keys(values).every((code) => values[code] === now[code]);
  $("more").value = Object.keys(about.variants).find((name) => same(about.variants[name])) ?? "";
}

function set(values, what) {
  past.push(values);
  future = [];
  go(values);
  say(what);
}

function undo() {
  if (past.length < 2) return;
  future.push(past.pop());
  go(past.at(-1));
  say("Undone");
}

function redo() {
  if (!future.length) return;
  past.push(future.pop());
  go(past.at(-1));
  say("Done again");
}

async function regions() {
  if (!isPressed($("show-regions")) || pasting()) {
    preview.overlays.replaceChildren();
    return;
  }
  const areas = new Set(Object.keys(sliders.values).map((code) => about.units.find((u) => u.code === code.replace(/[LR]$/, "")).area));
  await preview.showRegions(areas.size ? [...areas] : about.zones, sitter.serial);
}

async function settled() {
  const text = Object.entries(sliders.values).map(([code, value]) => `${code} ${value}`);
  $("after").alt = text.length ? `The face with ${text.join(", ")}` : "The face at rest";
  if (isPressed($("show-regions"))) await regions();
  recipe();
  profile.refresh();
}

async function recipe() {
  if (!$("recipe").open || !sitter) return;
  try {
    const made = await post("/api/recipe", asked());
    $("recipe-command").textContent = made.command;
    $("recipe-python").textContent = made.python;
  } catch (error) {
    failed(error);
  }
}

async function copy(id, what) {
  try {
    await navigator.clipboard.writeText($(id).textContent);
    say(`${what} copied`);
  } catch {
    getSelection().selectAllChildren($(id)); // no permission: selected for the visitor to copy
    say(`${what} selected; copy it with your keyboard`);
  }
}

async function takeAway(event) {
  event.preventDefault();
  const button = $("take-picture");
  button.disabled = true;
  const text = button.textContent;
  try {
    const wanted = { ...asked(), format: $("picture-format").value, longest: Number($("picture-size").value) };
    const job = await follow(await post("/api/picture", wanted), (state) => {
      button.textContent = `${stageText(state)} …`;
    });
    if (job.state !== "done") return;
    const link = element("a", "", { href: `/api/file/${job.result.file}`, download: "" });
    document.body.append(link);
    link.click();
    link.remove();
    say("The picture is downloaded.");
  } catch (error) {
    failed(error);
  } finally {
    button.disabled = false;
    button.textContent = text;
  }
}

// ---------------------------------------------------------------- wiring

function wireStart() {
  $("photo").addEventListener("change", () => {
    const [file] = $("photo").files;
    $("photo").value = "";
    if (file) sendPhoto(file);
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("drop").classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && !$("view-start").hidden) sendPhoto(file);
  });
  $("sample-form").addEventListener("submit", (event) => {
    event.preventDefault();
    work(() => post("/api/sample", { seed: Number($("seed").value) }));
  });
  $("seed-random").addEventListener("click", () => {
    $("seed").value = Math.floor(Math.random() * 100000);
  });
  $("wait-cancel").addEventListener("click", () => post("/api/job/cancel").catch(failed));
  $("to-start").addEventListener("click", () => {
    history.pushState(null, "", location.pathname);
    fromAddress();
  });
  $("to-face").addEventListener("click", () => {
    history.pushState(null, "", FACE);
    fromAddress();
  });
  $("leave").addEventListener("click", async () => {
    await post("/api/leave").catch(failed);
    sessionStorage.clear();
    location.replace("/");
  });
}

// "anger/lips-pressed" reads "Anger, lips pressed".
function variantText(name) {
  return name[0].toUpperCase() + name.slice(1).replace("/", ", ").replaceAll("-", " ");
}

function wireFace() {
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
  $("reset").addEventListener("click", () => set({}, "All sliders are at zero"));
  $("random").addEventListener("click", () => post("/api/random").then(({ au }) => set(au, "A random expression"), failed));
  for (const [name, values] of Object.entries(about.expressions)) {
    const button = element("button", name, { type: "button", id: `preset-${name}` });
    button.addEventListener("click", () => set({ ...values }, name));
    $("presets").append(button);
  }
  for (const name of Object.keys(about.variants)) $("more").append(new Option(variantText(name), name));
  $("more").addEventListener("change", () => {
    const name = $("more").value;
    if (name) set({ ...about.variants[name] }, variantText(name));
  });
  $("compare").addEventListener("input", () => preview.compare(Number($("compare").value)));
  $("show-before").addEventListener("click", () => {
    const percent = togglePressed($("show-before")) ? 100 : 0;
    $("compare").value = percent;
    preview.compare(percent);
  });
  $("show-regions").addEventListener("click", () => {
    if (togglePressed($("show-regions")) && pasting()) $("show-photo").click();
    regions();
  });
  $("show-photo").addEventListener("click", () => {
    togglePressed($("show-photo"));
    preview.rest();
    preview.showBefore();
    regions();
  });
  for (const format of about.picture_formats) $("picture-format").append(new Option(format, format));
  for (const size of about.sizes) $("picture-size").append(new Option(size ? `${size} px` : "full size", size));
  $("picture-form").addEventListener("submit", takeAway);
  $("to-film").addEventListener("click", () => {
    $("timeline").open = true;
    if (Object.keys(sliders.values).length) timeline.rise();
    $("timeline").scrollIntoView({ block: "start" });
    $("play").focus({ preventScroll: true });
  });
  $("recipe").addEventListener("toggle", recipe);
  $("copy-command").addEventListener("click", () => copy("recipe-command", "The command is"));
  $("copy-python").addEventListener("click", () => copy("recipe-python", "The Python is"));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || $("view-face").hidden || event.target.matches("[type=number], [type=text], [type=search]")) return;
    const key = event.key.toLowerCase();
    if (key === "z") (event.shiftKey ? redo : undo)();
    else if (key === "y") redo();
    else return;
    event.preventDefault();
  });
}

async function start() {
  about = await get("/api/about");
  const megabytes = about.photo_bytes / 1e6;
  $("photo-limits").textContent = `JPEG, PNG, WebP …, up to ${megabytes} MB and ${about.photo_pixels / 1e6} megapixels`;
  $("kept").textContent = `Your pictures are deleted ${about.idle_minutes} minutes after you leave. Version ${about.version}.`;
  for (const name of about.qualities) $("quality").append(new Option(name, name));
  $("quality-row").hidden = about.qualities.length < 2;
  camera = new Camera({ send: sendPhoto, failed });
  sliders = new Sliders($("sliders"), about, changed);
  finder = new Finder(sliders);
  preview = new Preview({
    after: $("after"), before: $("before"), overlays: $("overlays"),
    sizes: about.preview_sizes, state: asked, failed, settled,
  });
  profile = new Profile($("profile"), about, asked);
  live = new Live(about, { drive: (au) => preview.follow(() => { sliders.values = au; }), ended: () => changed(true), failed });
  timeline = new Timeline(about, { values: () => sliders.values, failed, say, sitter: () => sitter });
  wireStart();
  wireFace();
  window.addEventListener("popstate", fromAddress);
  await resume();
  document.body.dataset.ready = "yes";
}

// After a reload: the job under way, the face, and where its sliders were.
async function resume() {
  const state = await get("/api/state");
  sitter = state.sitter ?? null;
  if (sitter) {
    const kept = JSON.parse(sessionStorage.getItem("sliders") ?? "{}");
    past = kept.serial === sitter.serial ? kept.past : [{}];
    future = kept.serial === sitter.serial ? kept.future : [];
    sliders.values = past.at(-1);
    refresh();
    await open();
  }
  if (state.job && ["photo", "encode", "sample"].includes(state.job.kind)) await work(async () => state.job);
  else fromAddress();
}

start().catch(failed);
