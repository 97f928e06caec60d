// Questions to the server, and the jobs that some of them start.

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answerOf(request) {
  let answer;
  try {
    answer = await request;
  } catch {
    throw new Problem(0, "The server does not answer; is it still running?");
  }
  if (answer.status === 401) location.replace("/login");
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, told.error || `the server answered ${answer.status}`);
}

export async function get(path) {
  return (await answerOf(fetch(path))).json();
}

export async function blobOf(path) {
  return (await answerOf(fetch(path))).blob();
}

function send(path, body, type) {
  const headers = { "x-duchenne-studio": "1", "content-type": type };
  return answerOf(fetch(path, { method: "POST", headers, body }));
}

export async function post(path, content = {}) {
  return (await send(path, JSON.stringify(content), "application/json")).json();
}

// A picture, or null if a newer question overtook this one.
export async function picture(path, content) {
  const answer = await send(path, JSON.stringify(content), "application/json");
  return answer.status === 204 ? null : answer.blob();
}

export async function upload(path, file, name, more = {}) {
  const query = new URLSearchParams({ name, ...more });
  return (await send(`${path}?${query}`, file, "application/octet-stream")).json();
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Follow the visitor's job to its end; `show` is called with each state on the way.
export async function follow(job, show) {
  while (job.state === "waiting" || job.state === "running") {
    show(job);
    await pause(300);
    job = await get("/api/job");
  }
  if (job.state === "failed") throw new Problem(422, job.message);
  return job;
}

export function stageText(job) {
  if (job.state === "waiting") {
    if (!job.ahead) return "Starting";
    return job.ahead === 1 ? "One job is before yours" : `${job.ahead} jobs are before yours`;
  }
  const steps = job.total ? ` (${job.done} of ${job.total})` : "";
  return job.stage[0].toUpperCase() + job.stage.slice(1) + steps;
}

export function leftText(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `at most about ${Math.max(1, Math.round(seconds))} s left`;
  return `at most about ${Math.round(seconds / 60)} min left`;
}

export function showProgress(bar, job) {
  if (job.total) {
    bar.max = job.total;
    bar.value = job.done;
  } else {
    bar.removeAttribute("value");
  }
}
