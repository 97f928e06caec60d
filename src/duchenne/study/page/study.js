"use strict";
// One participant's way through a study: consent, instructions, pictures and checks in an order of
// their own, the answers as a CSV. `STUDY` comes from config.js; jsPsych does the rest. What was
// answered is kept in this browser, so that a reload goes on where it was.
(() => {
  const study = window.STUDY;
  const texts = study.texts;
  const PATIENCE_MS = 250; // a double click is no answer to the next question

  const escape = (text) => {
    const span = document.createElement("span");
    span.textContent = text;
    return span.innerHTML.replaceAll('"', "&quot;");
  };
  const paragraphs = (text) =>
    text.split(/\n\s*\n/).map((part) => `<p>${escape(part)}</p>`).join("");
  const words = (text) => `<div class="words">${paragraphs(text)}</div>`;
  const address = (file) => "stimuli/" + file.split("/").map(encodeURIComponent).join("/");

  // ---------------------------------------------------------------- what is kept

  let keeping = true;

  function recall(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null; // no storage, or damaged
    }
  }

  function keep(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      keeping = false;
    }
  }

  const named = new URLSearchParams(location.search).get(study.participant);
  const lastKey = `${study.format}/${study.id}/last`;

  function newName() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    return "r" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // A name is a file's name and a cell of a table: letters, digits and _ . - only.
  const participant = named
    ? named.trim().replace(/[^\p{L}\p{N}_.-]/gu, "_").slice(0, 64)
    : recall(lastKey) || newName();
  if (!named) keep(lastKey, participant);
  const key = `${study.format}/${study.id}/${participant}`;
  const seed = `${study.seed}:${participant}`;
  const fresh = { started: "", finished: false, rows: [] };
  const kept = recall(key);
  const state = kept && Array.isArray(kept.rows) ? kept : fresh;
  const save = () => keep(key, state);

  // ---------------------------------------------------------------- the order

  /** Pictures for one participant, evenly from every condition and intensity, in random order. */
  function chosen(random) {
    const shuffled = random.shuffle(study.pictures);
    if (!study.most || study.most >= shuffled.length) return shuffled;
    const cells = new Map();
    for (const picture of shuffled) {
      const cell = `${picture.condition}|${picture.side}|${picture.asked}`;
      cells.set(cell, [...(cells.get(cell) || []), picture]);
    }
    const taken = [];
    const queues = [...cells.values()]; // by the shuffled order of their first pictures
    for (let turn = 0; taken.length < study.most; turn++) {
      for (const queue of queues) {
        if (turn < queue.length && taken.length < study.most) taken.push(queue[turn]);
      }
    }
    return random.shuffle(taken);
  }

  /** Everything that this participant is asked: the same whenever the page is opened. */
  function plan(random) {
    random.setSeed(seed);
    const keys = study.answers.map((answer) => answer.key);
    const last = keys.filter((name) => name === study.other); // as people expect it
    const named = keys.filter((name) => name !== study.other);
    const offered = [...(study.shuffle_answers ? random.shuffle(named) : named), ...last];
    const pictures = chosen(random);
    const checks = study.check_every ? Math.max(1, Math.round(pictures.length / study.check_every)) : 0;
    const trials = [];
    const before = new Map();
    for (let i = 0; i < checks; i++) { // one somewhere in each part, so that they are spread
      const first = Math.floor((i * pictures.length) / checks);
      const end = Math.floor(((i + 1) * pictures.length) / checks);
      const place = first + Math.floor(Math.random() * (end - first));
      before.set(place, keys[Math.floor(Math.random() * keys.length)]);
    }
    pictures.forEach((picture, i) => {
      if (before.has(i)) trials.push({ kind: "check", expected: before.get(i) });
      trials.push({ kind: "picture", ...picture });
    });
    return { offered, trials };
  }

  // ---------------------------------------------------------------- the questions

  const label = new Map(study.answers.map((answer) => [answer.key, answer.label]));
  const button = (choice) => `<button type="button" class="jspsych-btn">${choice}</button>`;

  function screen(stimulus, choices, more) {
    return {
      type: jsPsychHtmlButtonResponse,
      stimulus,
      choices: choices.map(escape),
      button_html: button,
      button_layout: "flex",
      ...more,
    };
  }

  function shown(trial) {
    if (trial.kind === "check") {
      const text = texts.check_question.replaceAll("{answer}", label.get(trial.expected));
      return `<div class="check"><div>${paragraphs(text)}</div></div>`;
    }
    const source = escape(address(trial.file));
    const element = trial.film
      ? `<video src="${source}" autoplay loop muted playsinline></video>`
      : `<img src="${source}" alt="">`; // an alternative text would tell the answer
    return `<figure class="picture">${element}</figure>`;
  }

  function question(name, trial, row) {
    const scale = study[name];
    const steps = Array.from({ length: scale.most - scale.least + 1 }, (_, i) => scale.least + i);
    return screen(
      `${shown(trial)}<p class="question">${escape(texts[`${name}_question`])}</p>`,
      steps.map(String),
      {
        css_classes: ["scale"],
        enable_button_after: PATIENCE_MS,
        prompt: `<div class="ends"><span>${steps[0]}: ${escape(texts[`${name}_least`])}</span>
          <span>${steps.at(-1)}: ${escape(texts[`${name}_most`])}</span></div>`,
        on_finish: (data) => {
          row[name] = steps[data.response];
          row[`${name}_ms`] = data.rt;
        },
      },
    );
  }

  /** The screens of one trial; its row is kept when the last of them is answered. */
  function screens(trial, offered, order) {
    const row = {
      study: study.id, participant, seed, order,
      kind: trial.kind, file: trial.file, identity: trial.identity, condition: trial.condition,
      side: trial.side, asked: trial.asked, expected: trial.expected, offered: offered.join("|"),
      intensity_scale: study.intensity.text, realism_scale: study.realism.text,
    };
    const asked = trial.kind === "check" ? "" : escape(texts.expression_question);
    const timeline = [
      screen(
        `${shown(trial)}<p class="question">${asked}</p>`,
        offered.map((answer) => label.get(answer)),
        {
          css_classes: ["answers"],
          enable_button_after: PATIENCE_MS,
          on_finish: (data) => {
            row.answer = offered[data.response];
            row.answer_ms = data.rt;
          },
        },
      ),
    ];
    if (trial.kind === "picture") {
      for (const name of ["intensity", "realism"]) {
        if (study[name].ask) timeline.push(question(name, trial, row));
      }
    }
    const last = timeline.at(-1);
    const answered = last.on_finish;
    last.on_finish = (data) => {
      answered(data);
      state.rows.push({ ...row, started: state.started }); // known since the consent only
      save();
    };
    return { timeline };
  }

  // ---------------------------------------------------------------- the end

  function cell(value) {
    const text = value === undefined || value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function download() {
    const lines = [study.columns, ...state.rows.map((row) => study.columns.map((c) => row[c]))];
    const text = lines.map((cells) => cells.map(cell).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `responses_${study.id}_${participant}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  function showEnd(text, buttons) {
    document.body.className = "jspsych-display-element";
    document.body.innerHTML = `<div class="jspsych-content-wrapper"><div class="jspsych-content">
      ${paragraphs(text)}<div id="jspsych-html-button-response-btngroup"
      class="jspsych-btn-group-flex"></div></div></div>`;
    for (const [id, name, action] of buttons) {
      document.querySelector("#jspsych-html-button-response-btngroup")
        .insertAdjacentHTML("beforeend", button(escape(name)));
      const made = document.body.querySelector(".jspsych-btn:last-child");
      made.id = id;
      made.addEventListener("click", action);
    }
  }

  function next() {
    keep(lastKey, newName());
    location.reload();
  }

  function finish() {
    const buttons = [["download", texts.download, download]];
    if (!named && keeping) buttons.push(["another", texts.another, next]);
    showEnd(texts.done, buttons);
  }

  // ---------------------------------------------------------------- the way through

  async function run() {
    document.documentElement.lang = texts.language;
    document.title = study.title;
    if (state.finished) {
      finish();
      return;
    }
    let declined = false;
    const jsPsych = initJsPsych({
      show_progress_bar: true,
      auto_update_progress_bar: false,
      message_progress_bar: escape(texts.progress),
      on_trial_start: () => {
        jsPsych.progressBar.progress = state.rows.length / trials.length;
      },
      override_safe_mode: true, // there is no sound, which is all that it switches off
    });
    const { offered, trials } = plan(jsPsych.randomization);
    const left = trials.slice(state.rows.length);
    const timeline = [];
    if (!state.started) {
      save();
      const notice = keeping ? "" : `<p>${escape(texts.not_kept)}</p>`;
      timeline.push(
        screen(
          `<h1>${escape(study.title)}</h1>${words(texts.consent)}${notice}`,
          [texts.agree, texts.disagree],
          {
            on_finish: (data) => {
              if (data.response === 1) {
                declined = true;
                jsPsych.abortExperiment();
                return;
              }
              state.started = new Date().toISOString();
              save();
            },
          },
        ),
        screen(words(texts.instructions), [texts.start]),
      );
    } else {
      timeline.push(screen(words(texts.resumed), [texts.go_on]));
    }
    timeline.push({
      type: jsPsychPreload,
      images: left.filter((trial) => trial.file && !trial.film).map((trial) => address(trial.file)),
      message: `<p>${escape(texts.loading)}</p>`,
      error_message: `<p>${escape(texts.failed)}</p>`,
      max_load_time: null,
    });
    left.forEach((trial, i) => {
      const order = state.rows.length + i + 1;
      timeline.push(screens(trial, offered, order));
    });
    await jsPsych.run(timeline);
    if (declined) {
      try {
        localStorage.removeItem(key);
      } catch {} // nothing is kept then
      showEnd(texts.declined, []);
      return;
    }
    state.finished = true;
    save();
    download();
    finish();
  }

  run();
})();
