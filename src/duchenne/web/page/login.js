// The door: sends the password, then goes to the studio.

const form = document.querySelector("#login");
const problem = document.querySelector("#problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = true;
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json", "x-duchenne-studio": "1" },
    body: JSON.stringify({ password: document.querySelector("#password").value }),
  });
  if (answer.ok) {
    location.replace("/");
    return;
  }
  problem.textContent = (await answer.json()).error;
  problem.hidden = false;
});
