// Uploads with progress: files and folders, chosen or dropped, two at a time. A large file goes in parts, which the
// server keeps until all are there: so it goes on after a lost connection, a reload or a closed laptop. Without this
// script the form sends the same files, without progress. It has no texts: they are in the page.

"use strict";

const AT_ONCE = 2;
const LONGEST_WAIT = 30_000; // milliseconds, as all times here
const SIGN_IN_EVERY = 3_000;
const SHOWN_EVERY = 500;
const SAID_EVERY = 10_000;
const SPEED_OVER = 8_000;
const MOST_ROWS = 50;
const MOST_BESIDE = 6_000; // characters of what is announced in the head of a request

const panel = document.getElementById("uploads");
const form = document.querySelector("form[data-upload]");
const words = panel.dataset;
const part = (name) => panel.querySelector(`[data-${name}]`);
const PART = Number(words.part);
const WHOLE = Number(words.whole);
const here = JSON.parse(words.folder);
const language = document.documentElement.lang;
const digits = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

let token = words.token;
let unfinished = []; // what an earlier page has begun and nobody goes on with
const uploads = []; // all that was chosen on this page
const waiting = [];
let running = 0;

// Why something did not go through: stopped by whoever looks, worth another try, or refused with a sentence.
class Stopped extends Error {}
class Lost extends Error {}
class Refused extends Error {
  constructor({ text, again }) {
    super(text);
    this.again = again;
  }
}

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

class Upload {
  id = ""; // what the server calls it, if it goes in parts
  state = "waiting"; // going, paused, done, out (left out), failed, cancelled
  sent = 0; // bytes that are there for good
  flying = 0; // bytes of the request that is on its way
  stored = 0; // bytes of the finished file, while it is put together
  busy = false; // whether it is being worked on, perhaps only to stop
  lost = false; // whether an answer got lost: what was asked for may be done
  why = ""; // what to say of it
  meter = new Meter();
  halt = () => {}; // ends whatever it waits for

  constructor(file, path, batch) {
    this.file = file; // null: an empty folder
    this.folder = here;
    this.path = path; // from there on
    this.batch = batch;
    this.size = file?.size ?? 0;
    this.taken = "ask";
    this.answer = null; // to a question that came at the end
    const found = unfinished.findIndex(
      (one) => file && one.name === file.name && one.size === file.size && one.modified === file.lastModified,
    );
    if (found >= 0) this.takeOver(unfinished.splice(found, 1)[0]);
  }

  takeOver({ id, folder, name, received }) {
    Object.assign(this, { folder: folder ? folder.split("/") : [], path: [name], sent: received });
    this.keep(id);
  }

  // Other windows see that somebody goes on with it.
  keep(id) {
    this.id = id;
    const kept = new Promise((release) => (this.release = release));
    navigator.locks?.request(`upload-${id}`, () => kept);
  }

  release() {}

  get name() {
    return this.path.at(-1);
  }

  get where() {
    return [...this.folder, ...this.path.slice(0, -1)].join("/");
  }

  get announced() {
    const { folder, path, size, taken, lost } = this;
    return { folder, path, size, modified: this.file?.lastModified ?? 0, taken, again: lost };
  }

  get beside() {
    return encodeURIComponent(JSON.stringify(this.announced));
  }

  async content(from, to) {
    let content;
    try {
      content = await this.file.slice(from, to).arrayBuffer();
    } catch {
      throw new Refused({ text: words.unreadable });
    }
    if (content.byteLength !== to - from) throw new Refused({ text: words.unreadable });
    return content;
  }
}

// ── requests ──
function send(one, method, address, body = null, fields = {}) {
  return new Promise((resolve, reject) => {
    if (one.state !== "going") return reject(new Stopped());
    const call = new XMLHttpRequest();
    const settle = (act, value) => {
      one.flying = one.stored = 0;
      act(value);
    };
    call.open(method, address);
    call.setRequestHeader("X-Form-Token", token);
    for (const [name, value] of Object.entries(fields)) call.setRequestHeader(name, value);
    call.upload.onprogress = ({ loaded }) => (one.flying = Math.min(loaded, one.size - one.sent));
    call.onprogress = () => (one.stored = lastLine(call.responseText)?.stored ?? one.stored);
    call.onload = () => settle(...outcome(call, resolve, reject));
    call.onerror = () => settle(reject, new Lost());
    call.onabort = () => settle(reject, new Stopped());
    one.halt = () => call.abort();
    call.send(body);
  });
}

const ask = (one, method, address, given) =>
  send(one, method, address, JSON.stringify(given), { "Content-Type": "application/json" });

function outcome(call, resolve, reject) {
  const told = lastLine(`${call.responseText}\n`);
  if (!told) return [reject, call.status >= 500 ? new Lost() : new Refused({ text: words.failed })];
  if (told.again === "later" || told.stored !== undefined) return [reject, new Lost()];
  return told.text === undefined ? [resolve, told] : [reject, new Refused(told)];
}

function lastLine(text) {
  try {
    return JSON.parse(text.slice(0, text.lastIndexOf("\n")).trim().split("\n").at(-1));
  } catch {
    return null; // somebody else than our server has answered, or nothing is here yet
  }
}

// Again and again, until there is an answer; what is attempted is told how often it has failed.
async function steadily(one, attempt) {
  for (let failures = 0; ; failures++) {
    try {
      const told = await attempt(failures);
      one.why = "";
      return told;
    } catch (error) {
      const unknown = error.again === "sign-in" || error.again === "token";
      if (!unknown && !(error instanceof Lost)) throw error;
      Object.assign(one, { lost: true, why: unknown ? words.signIn : words.lost });
      if (unknown) await signedIn();
      await pause(one, Math.min(1000 * 2 ** failures, LONGEST_WAIT));
    }
  }
}

function pause(one, milliseconds) {
  return new Promise((resolve, reject) => {
    const end = (act, value) => {
      clearTimeout(timer);
      removeEventListener("online", resolve);
      act(value);
    };
    const timer = setTimeout(end, milliseconds, resolve);
    addEventListener("online", resolve, { once: true });
    one.halt = () => end(reject, new Stopped());
  });
}

// Waits until somebody has signed in again, in another tab; all uploads wait for the same.
let signing = null;
const signedIn = () => (signing ??= untilSignedIn().finally(() => (signing = null)));

async function untilSignedIn() {
  for (;;) {
    const me = { state: "going" };
    try {
      const told = await send(me, "GET", words.address);
      if (told.who !== words.who) throw new Refused({ text: words.somebody });
      token = told.token;
      part("signed-out").hidden = true;
      return;
    } catch (error) {
      if (error instanceof Refused && error.again !== "sign-in") throw error;
      if (error instanceof Refused && part("signed-out").hidden) {
        part("signed-out").hidden = false;
        say(words.signIn);
      }
    }
    await pause(me, SIGN_IN_EVERY);
  }
}

// ── one file ──
async function run(one) {
  running++;
  Object.assign(one, { state: "going", busy: true });
  try {
    if (!one.file) await folder(one);
    else if (!one.id && one.size <= WHOLE && one.beside.length <= MOST_BESIDE) await whole(one);
    else await inParts(one);
  } catch (error) {
    one.lost = true;
    if (!(error instanceof Stopped)) Object.assign(one, { state: "failed", why: error.message || words.failed });
  }
  if (one.state !== "paused") one.release();
  one.busy = false;
  running--;
  next();
}

async function folder(one) {
  await steadily(one, () => ask(one, "POST", `${words.address}-folder`, one.announced));
  one.state = "done";
}

async function whole(one) {
  for (;;) {
    const told = await steadily(one, async () =>
      send(one, "PUT", words.address, await one.content(0, one.size), { "X-File": one.beside }),
    );
    if (await settled(one, told)) return;
  }
}

async function inParts(one) {
  let sure = !one.id; // whether it is known how much of it is there
  for (;;) {
    try {
      if (!one.id) {
        const told = await steadily(one, () => ask(one, "POST", words.address, one.announced));
        if (!told.id) {
          if (await settled(one, told)) return;
          continue;
        }
        one.keep(told.id);
        one.sent = told.received;
      }
      await allParts(one, sure);
      const answer = one.answer;
      const told = await steadily(one, () => ask(one, "POST", `${words.address}/${one.id}/finish`, { taken: answer }));
      one.answer = null;
      if (told.received !== undefined) one.sent = told.received;
      else if (await settled(one, told)) return;
      else one.answer = one.taken;
    } catch (error) {
      if (error.again !== "gone") throw error;
      one.release(); // finished, if an answer got lost; or given up
      Object.assign(one, { id: "", sent: 0, stored: 0 });
    }
    sure = true;
  }
}

async function allParts(one, sure) {
  const place = `${words.address}/${one.id}`;
  if (!sure) one.sent = (await steadily(one, () => send(one, "GET", place))).received;
  while (one.sent < one.size) {
    const told = await steadily(one, async (failures) => {
      const now = failures ? (await send(one, "GET", place)).received : one.sent;
      if (now !== one.sent) return { received: now };
      return send(one, "PUT", `${place}/${now}`, await one.content(now, Math.min(now + PART, one.size)));
    });
    one.sent = told.received;
  }
}

// Whether that is all; if the name is taken, it is not, unless the file is left out.
async function settled(one, told) {
  if (told.taken) {
    one.taken = await decided(one, told.taken);
    if (one.taken !== "skip") return false;
    if (one.id) await send(one, "DELETE", `${words.address}/${one.id}`);
    Object.assign(one, { state: "out", why: words.out });
  } else {
    Object.assign(one, { state: "done", sent: one.size });
  }
  return true;
}

// One question after the other.
let question = Promise.resolve();
function decided(one, there) {
  const answer = question.then(() => answered(one, there));
  question = answer.catch(() => {});
  return answer;
}

async function answered(one, there) {
  const known = one.batch.answer;
  if (known && !(there.folder && known === "replace")) return known;
  if (one.state !== "going") throw new Stopped();
  const dialog = document.querySelector("[data-question]");
  const piece = (name) => dialog.querySelector(`[data-${name}]`);
  piece("which").textContent = one.name;
  piece("there").textContent = there.folder ? words.thereFolder : filled(words.there, there);
  dialog.querySelector("[value=replace]").hidden = there.folder;
  dialog.returnValue = "";
  piece("for-all").checked = false;
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  const answer = dialog.returnValue || "skip";
  if (piece("for-all").checked) one.batch.answer = answer;
  return answer;
}

// ── all of them ──
function add(found, batch) {
  for (const { file, path } of found) {
    const one = new Upload(file, path, batch);
    uploads.push(one);
    waiting.push(one);
  }
  offer();
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) run(waiting.shift());
  if (!running || performance.now() - shownAt > SHOWN_EVERY) show();
  if (!running && !waiting.length) ended();
}

async function ended() {
  const count = (state) => uploads.filter((one) => one.state === state).length;
  const stored = count("done");
  if (!stored || count("paused")) return;
  part("anew").hidden = false;
  if (count("failed") || count("out")) return say(part("total").textContent);
  try {
    await ask({ state: "going" }, "POST", `${words.address}-told`, { stored });
  } finally {
    location.reload();
  }
}

function stop(one, state) {
  const was = one.state;
  if (!["waiting", "going", "paused", "failed"].includes(was)) return;
  one.state = state;
  if (was === "waiting") waiting.splice(waiting.indexOf(one), 1);
  if (was === "going") one.halt();
  if (state === "cancelled" && one.id) {
    send({ state: "going" }, "DELETE", `${words.address}/${one.id}`).catch(() => {}); // else it goes by itself
    one.release();
  }
}

function goOn(one) {
  if (one.busy || (one.state !== "paused" && one.state !== "failed")) return;
  Object.assign(one, { state: "waiting", why: "" });
  waiting.unshift(one);
}

const acts = {
  pause: (one) => stop(one, "paused"),
  go: goOn,
  cancel: (one) => stop(one, "cancelled"),
};

function act(name, chosen) {
  for (const one of [...chosen]) acts[name](one);
  next();
  show();
}

const isActive = () => running > 0 || waiting.length > 0 || uploads.some((one) => one.state === "paused");

// ── what is shown ──
const overall = new Meter();
const rows = new Map();
let [saidAt, shownAt] = [0, 0];

function show() {
  shownAt = performance.now();
  const counted = uploads.filter((one) => one.state !== "cancelled" && one.state !== "out");
  const sum = (of) => counted.reduce((all, one) => all + of(one), 0);
  const [size, sent] = [sum((one) => one.size), sum((one) => one.sent + one.flying)];
  overall.note(sent);
  const done = counted.filter((one) => one.state === "done").length;
  const text = filled(words.sum, { done, count: counted.length, sent: bytes(sent), size: bytes(size) });
  part("total").textContent = running ? `${text} ${pace(overall.speed, size - sent)}`.trim() : text;
  part("all").value = size ? sent / size : Number(done > 0);
  part("pause").hidden = !running && !waiting.length;
  part("go").hidden = !uploads.some((one) => one.state === "paused" || one.state === "failed");
  part("cancel").hidden = !isActive();
  part("progress").hidden = !uploads.length;
  drawRows();
  if (running && performance.now() - saidAt > SAID_EVERY) say(part("total").textContent);
}

function drawRows() {
  const drawn = uploads.filter((one) => ["going", "paused", "failed", "out"].includes(one.state)).slice(0, MOST_ROWS);
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
  const can = { pause: one.state === "going", go: one.state === "paused" || one.state === "failed" };
  for (const button of row.querySelectorAll("[data-act]")) button.hidden = !(can[button.dataset.act] ?? one.state !== "out");
}

// Uploads of before, if nobody goes on with them in another window.
async function offer() {
  panel.hidden = !unfinished.length && !uploads.length;
  part("offer").hidden = !unfinished.length;
  part("offered").textContent = filled(words.offer, { count: unfinished.length });
  part("open").replaceChildren(
    ...unfinished.map((one) => {
      const row = part("left").content.firstElementChild.cloneNode(true);
      row.querySelector("[data-name]").textContent = one.folder ? `${one.folder}/${one.name}` : one.name;
      row.querySelector("[data-words]").textContent = filled(words.one, { sent: bytes(one.received), size: bytes(one.size) });
      const button = row.querySelector("button");
      button.setAttribute("aria-label", filled(button.dataset.label, { name: one.name }));
      button.addEventListener("click", async () => {
        await send({ state: "going" }, "DELETE", `${words.address}/${one.id}`);
        unfinished = unfinished.filter((other) => other !== one);
        offer();
      });
      return row;
    }),
  );
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

// ── what was chosen ──
const ofFile = (file) => ({ file, path: (file.webkitRelativePath || file.name).split("/") });

// Everything in a folder that was dropped; of a folder with nothing in it, that.
async function walk(entry, above = []) {
  const path = [...above, entry.name];
  if (entry.isFile) return [{ file: await new Promise((found, failed) => entry.file(found, failed)), path }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((read, failed) => reader.readEntries(read, failed));
    if (!some.length) return found.length ? found : [{ file: null, path }];
    for (const one of some) found.push(...(await walk(one, path)));
  }
}

const newBatch = () => ({ answer: form.taken.value === "ask" ? null : form.taken.value });

async function begin() {
  form.taken.prepend(part("ask").content.firstElementChild);
  form.taken.value = "ask";
  form.querySelector("button").before(part("more").content);
  const [files, directory] = form.querySelectorAll("input[type=file]");
  files.required = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const found = [...files.files, ...directory.files].map(ofFile);
    form.querySelector("[data-nothing]").hidden = found.length > 0;
    add(found, newBatch());
    files.value = directory.value = "";
  });
  for (const name of Object.keys(acts)) {
    part(name).addEventListener("click", () => {
      act(name, uploads);
      if (part(name).hidden) part("progress").querySelector("button:not([hidden])")?.focus();
    });
  }
  setInterval(() => running && show(), SHOWN_EVERY);
  addEventListener("beforeunload", (event) => isActive() && event.preventDefault());
  addEventListener("online", () => say(words.back));
  addEventListener("offline", () => say(words.lost));
  takeDrops();
  const held = (await navigator.locks?.query())?.held.map(({ name }) => name) ?? [];
  unfinished = JSON.parse(words.unfinished).filter(({ id }) => !held.includes(`upload-${id}`));
  offer();
}

function takeDrops() {
  const target = document.querySelector("[data-drop]");
  const brings = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    target.hidden = false;
  });
  addEventListener("dragleave", (event) => (target.hidden = event.relatedTarget === null || target.hidden));
  addEventListener("drop", async (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    target.hidden = true;
    const batch = newBatch();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return add([...event.dataTransfer.files].map(ofFile), batch);
    for (const entry of entries) {
      try {
        add(await walk(entry), batch);
      } catch {
        say(words.unreadable);
      }
    }
  });
}

begin();
