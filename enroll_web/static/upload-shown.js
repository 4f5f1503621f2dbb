// What is shown of uploads: how far all of them are, a row for each that somebody may want to do something about, and
// what an earlier page has left unfinished. It has no texts: they are in the page. What is sent is in upload.js, which
// is loaded after this and shares its names.

"use strict";

const SHOWN_EVERY = 500; // milliseconds, as all times here
const SAID_EVERY = 10_000;
const SPEED_OVER = 8_000;
const MOST_ROWS = 50;

const panel = document.getElementById("uploads");
const words = panel.dataset;
const part = (name) => panel.querySelector(`[data-${name}]`);
const language = document.documentElement.lang;
const digits = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

class Meter {
  seen = [];

  note(bytes) {
    const now = performance.now();
    this.seen.push([now, bytes]);
    while (now - this.seen[0][0] > SPEED_OVER) this.seen.shift();
  }

  get speed() {
    const [since, before] = this.seen[0];
    const [now, bytes] = this.seen.at(-1);
    return now > since ? Math.max(0, ((bytes - before) / (now - since)) * 1000) : 0;
  }
}

// ── all of them, and each ──
const overall = new Meter();
const rows = new Map();
let [saidAt, shownAt] = [0, 0];

function show() {
  shownAt = performance.now();
  const of = (...states) => uploads.filter((one) => states.includes(one.state));
  const counted = of("waiting", "going", "paused", "done", "failed").filter((one) => one.file || one.unreadable);
  const sum = (value) => counted.reduce((all, one) => all + value(one), 0);
  const [size, sent] = [sum((one) => one.size), sum((one) => one.sent + one.flying)];
  overall.note(sent);
  const done = counted.filter((one) => one.state === "done").length;
  const texts = []; // if all was left out, there is nothing to count
  if (counted.length) texts.push(filled(words.sum, { done, count: counted.length, sent: bytes(sent), size: bytes(size) }));
  if (running) texts.push(pace(overall.speed, size - sent));
  if (of("failed").length) texts.push(filled(words.failures, { count: of("failed").length }));
  if (of("out").length) texts.push(filled(words.leftOut, { count: of("out").length }));
  part("total").textContent = texts.filter(Boolean).join(" ");
  part("all").hidden = !counted.length;
  part("all").value = size ? sent / size : Number(of("done").length > 0);
  part("pause").hidden = !running && !waiting.length;
  part("go").hidden = !uploads.some((one) => one.canGoOn);
  part("cancel").hidden = !isActive();
  part("progress").hidden = !uploads.length;
  drawRows();
  if (running && performance.now() - saidAt > SAID_EVERY) say(part("total").textContent);
}

// If there are too many for a row each: first what moves, then what needs somebody.
function drawRows() {
  const ranked = ["going", "failed", "paused", "out"].map((state) => uploads.filter((one) => one.state === state));
  const drawn = ranked.flat().slice(0, MOST_ROWS);
  for (const [one, row] of rows) {
    if (!drawn.includes(one)) {
      row.remove();
      rows.delete(one);
    }
  }
  for (const one of drawn) {
    if (!rows.has(one)) rows.set(one, newRow(one));
    draw(one, rows.get(one));
  }
}

function newRow(one) {
  const row = part("row").content.firstElementChild.cloneNode(true);
  row.querySelector("[data-name]").textContent = one.name;
  row.querySelector("[data-where]").textContent = one.where ? filled(words.where, { folder: one.where }) : "";
  row.querySelector("progress").setAttribute("aria-label", one.name);
  for (const button of row.querySelectorAll("[data-act]")) {
    button.setAttribute("aria-label", filled(button.dataset.label, { name: one.name }));
    button.addEventListener("click", () => {
      act(button.dataset.act, [one]);
      if (button.hidden) row.querySelector("[data-act]:not([hidden])")?.focus();
    });
  }
  part("list").append(row);
  return row;
}

function draw(one, row) {
  const sent = one.sent + one.flying;
  one.meter.note(sent);
  row.className = one.state;
  row.querySelector("progress").value = one.size ? sent / one.size : 0;
  let text = filled(words.one, { sent: bytes(sent), size: bytes(one.size) });
  if (one.state === "going") text = `${text} ${pace(one.meter.speed, one.size - sent)}`.trim();
  if (one.state === "going" && one.stored) text = filled(words.joining, { share: share(one.stored / one.size) });
  if (one.state === "paused") text = `${text} ${words.paused}`;
  tell(row.querySelector("[data-words]"), one.why || text);
  const can = { pause: one.state === "going", go: one.canGoOn };
  for (const button of row.querySelectorAll("[data-act]")) button.hidden = !(can[button.dataset.act] ?? one.state !== "out");
}

// Uploads of before, if nobody goes on with them in another window.
async function offer() {
  const held = (await navigator.locks.query()).held.map(({ name }) => name);
  const left = unfinished.filter(({ id }) => !held.includes(`upload-${id}`));
  panel.hidden = !left.length && !uploads.length;
  part("offer").hidden = !left.length;
  part("offered").textContent = filled(words.offer, { count: left.length });
  part("open").replaceChildren(
    ...left.map((one) => {
      const row = part("left").content.firstElementChild.cloneNode(true);
      row.querySelector("[data-name]").textContent = one.folder ? `${one.folder}/${one.name}` : one.name;
      row.querySelector("[data-words]").textContent = filled(words.one, { sent: bytes(one.received), size: bytes(one.size) });
      const button = row.querySelector("button");
      button.setAttribute("aria-label", filled(button.dataset.label, { name: one.name }));
      button.addEventListener("click", () => giveUp(one, row.querySelector("[data-words]")));
      return row;
    }),
  );
}

async function giveUp(one, place) {
  try {
    await send({ state: "going" }, "DELETE", `${words.address}/${one.id}`);
    unfinished = unfinished.filter((other) => other !== one);
    offer();
  } catch (error) {
    const text = error.message || words.unreached;
    tell(place, text);
    say(text);
    if (isUnknown(error)) signedIn().catch(() => {}); // it says where to do that, and the button works afterwards
  }
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const share = (part) => new Intl.NumberFormat(language, { style: "percent" }).format(part);

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), units.length - 1);
  return `${digits.format(count / 1024 ** power)} ${units[power]}`;
}

function pace(speed, left) {
  if (!speed || left <= 0) return "";
  return filled(words.pace, { speed: bytes(Math.round(speed)), left: duration(left / speed) });
}

function duration(seconds) {
  const [unit, length] = seconds < 90 ? ["second", 1] : seconds < 5400 ? ["minute", 60] : ["hour", 3600];
  const style = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(language, style).format(Math.max(1, Math.round(seconds / length)));
}

function say(text) {
  saidAt = performance.now();
  part("said").textContent = text;
}

function tell(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
