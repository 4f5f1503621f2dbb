// Watches a device connect: asks every two seconds how it is, as long as somebody looks and for a quarter of an hour.
// Without it the page says how the device was, and has a link to look again.

"use strict";

const EVERY = 2000;
const LONGEST = 15 * 60 * 1000;

const watched = document.querySelector("[data-health]");
const until = Date.now() + LONGEST;
let waiting = 0;
let ended = false;

watched.querySelector("[data-live]").hidden = false;
watched.querySelector("[data-again]").hidden = true;
document.addEventListener("visibilitychange", look);
waiting = setTimeout(look, EVERY);

async function look() {
  clearTimeout(waiting);
  if (ended || document.hidden) return;
  if (Date.now() > until) return end();
  try {
    // A session that is over leads to another page: that is not followed, and its status counts as 0.
    const answer = await fetch(watched.dataset.health, { redirect: "manual" });
    if (answer.ok) show(await answer.json());
    else if (answer.status < 500) return end();
  } catch {
    // The server is away, or the network, as it is for a proxy that answers 502: the next time is another chance.
  }
  clearTimeout(waiting);
  waiting = setTimeout(look, EVERY);
}

function end() {
  ended = true;
  watched.querySelector("[data-live]").hidden = true;
  watched.querySelector("[data-over]").hidden = false;
  watched.querySelector("[data-again]").hidden = false;
}

function show({ status, seen, troubles }) {
  say(watched.querySelector("[data-status]"), status);
  for (const sign of watched.querySelectorAll("[data-sign]")) {
    const when = seen[sign.dataset.sign] ?? "";
    const done = when !== "";
    sign.classList.toggle("seen", done);
    sign.querySelector("[data-done]").hidden = !done;
    sign.querySelector("[data-open]").hidden = done;
    say(sign.querySelector("[data-when]"), when);
  }
  const place = watched.querySelector("[data-troubles]");
  if (place.dataset.shown === JSON.stringify(troubles)) return;
  place.dataset.shown = JSON.stringify(troubles);
  place.replaceChildren(...troubles.map(drawn));
}

function drawn({ title, advice, at }) {
  const copy = watched.querySelector("[data-trouble]").content.cloneNode(true);
  copy.querySelector("[data-title]").textContent = title;
  copy.querySelector("[data-advice]").textContent = advice;
  copy.querySelector("[data-at]").textContent = at;
  return copy;
}

// Only what is new is said: a screen reader would repeat the same every two seconds.
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
