// Uploads with progress: files and folders, chosen or dropped, two at a time. A large file goes in parts, which the
// server keeps until all are there: so it goes on after a lost connection, a reload or a closed laptop. Without this
// script the form sends the same files, without progress. It has no texts: they are in the page. What is shown is in
// upload-shown.js, which is loaded before this and shares its names. No page is shown over a line that others can read:
// so whatever browsers have for safe lines only is there.

"use strict";

const AT_ONCE = 2;
const LONGEST_WAIT = 30_000; // milliseconds, as all times here
const SIGN_IN_EVERY = 3_000;
const MOST_BESIDE = 6_000; // characters of what is announced in the head of a request
const PASSING = [408, 425, 429]; // what is answered between here and our server, and may be otherwise in a moment
const REFUSED_BETWEEN = 413;

const form = document.querySelector("form[data-upload]");
const PART = Number(words.part);
const WHOLE = Number(words.whole);
const here = JSON.parse(words.folder);

let token = words.token;
let unfinished = []; // what an earlier page, or another window, has begun
const uploads = []; // all that was chosen on this page
const waiting = [];
let running = 0;
let walking = 0; // how many drops are still being looked through

// Why something did not go through: stopped by whoever looks, worth another try (with a sentence if our server has said
// why; else nobody knows what became of it), or refused with a sentence.
class Stopped extends Error {}
class Lost extends Error {}
class Refused extends Error {
  constructor({ text, again }) {
    super(text);
    this.again = again;
  }
}

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

class Upload {
  id = ""; // what the server calls it, if it goes in parts
  word = hex(crypto.getRandomValues(new Uint8Array(16))); // by which the server knows it again
  state = "waiting"; // going, paused, done, out (left out), failed, cancelled
  sent = 0; // bytes that are there for good
  flying = 0; // bytes of the request that is on its way
  stored = 0; // bytes of the finished file, while it is put together
  busy = false; // whether it is being worked on, perhaps only to stop
  lost = false; // whether an answer got lost: what was asked for may be done
  taken = "ask"; // what to do if the name is taken
  there = undefined; // the tag of what a question has shown, if it was answered for that alone
  asked = false; // whether the answer is to be given at the end
  why = ""; // what to say of it
  meter = new Meter();
  halt = () => {}; // ends whatever it waits for

  constructor({ file, path, unreadable = false }, batch) {
    this.file = file; // null: an empty folder, or nothing that can be read
    this.path = path; // from the folder of this page on
    this.unreadable = unreadable;
    this.batch = batch;
    this.size = file?.size ?? 0;
    if (unreadable) Object.assign(this, { state: "failed", why: words.unreadable });
  }

  // Other windows see that somebody goes on with it, until it is released; false if one of them does already.
  keep(id) {
    return new Promise((known) => {
      const held = navigator.locks.request(`upload-${id}`, { ifAvailable: true }, (lock) => {
        known(lock !== null);
        return lock && new Promise((release) => (this.release = () => (release(), held)));
      });
    });
  }

  async release() {}

  get name() {
    return this.path.at(-1);
  }

  get where() {
    return [...here, ...this.path.slice(0, -1)].join("/");
  }

  get canGoOn() {
    return this.state === "paused" || (this.state === "failed" && !this.unreadable);
  }

  get announced() {
    const { path, size, taken, there, word, lost } = this;
    return { folder: here, path, size, modified: this.file?.lastModified ?? 0, taken, there, word, again: lost };
  }

  get beside() {
    return encodeURIComponent(JSON.stringify(this.announced));
  }

  wasBegunAs({ folder, name, size, modified }) {
    const place = this.where.normalize() === folder && this.name.normalize() === name;
    return place && this.size === size && this.file.lastModified === modified;
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

// The same for what is not to be done twice: if nobody answers, the next request asks whether it is done.
async function once(one, ...request) {
  if (one.state !== "going") throw new Stopped();
  try {
    const told = await send(one, ...request);
    one.lost = false;
    return told;
  } catch (error) {
    one.lost ||= !error.message;
    throw error;
  }
}

// Our server refuses with a sentence, and with 200 it says yes. Anything else is somebody between here and there.
function outcome({ status, responseText }, resolve, reject) {
  const told = lastLine(`${responseText}\n`);
  if (typeof told?.text === "string" && typeof told.again === "string") {
    return [reject, told.again === "later" ? new Lost(told.text) : new Refused(told)];
  }
  const isCut = told?.stored !== undefined;
  if (status === 200 && told instanceof Object && !isCut) return [resolve, told];
  if (isCut || status >= 500 || PASSING.includes(status)) return [reject, new Lost()];
  return [reject, new Refused({ text: status === REFUSED_BETWEEN ? words.between : words.failed })];
}

function received(told) {
  if (typeof told.received !== "number") throw new Refused({ text: words.failed });
  return told.received;
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
      const unknown = isUnknown(error);
      if (!unknown && !(error instanceof Lost)) throw error;
      one.why = unknown ? words.signIn : error.message || words.lost;
      if (unknown) await stoppable(one, signedIn());
      await pause(one, Math.min(1000 * 2 ** failures, LONGEST_WAIT));
    }
  }
}

function stoppable(one, waited) {
  return new Promise((resolve, reject) => {
    one.halt = () => reject(new Stopped());
    waited.then(resolve, reject);
  });
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
const isUnknown = ({ again }) => again === "sign-in" || again === "token";
let signing = null;
const signedIn = () => (signing ??= untilSignedIn().finally(() => (signing = null)));

async function untilSignedIn() {
  for (;;) {
    const me = { state: "going" };
    try {
      const told = await send(me, "GET", words.address);
      if (typeof told.who !== "string") throw new Lost();
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
    if (!(error instanceof Stopped)) Object.assign(one, { state: "failed", why: error.message || words.failed });
  }
  one.busy = false;
  running--;
  if (one.state === "waiting") waiting.unshift(one); // somebody wants it to go on again
  else if (!one.canGoOn) one.release();
  next();
}

async function folder(one) {
  await steadily(one, () => ask(one, "POST", `${words.address}-folder`, one.announced));
  one.state = "done";
}

async function whole(one) {
  for (;;) {
    const told = await steadily(one, async () => {
      const content = await one.content(0, one.size);
      return once(one, "PUT", words.address, content, { "X-File": one.beside });
    });
    if (await settled(one, told)) return;
  }
}

async function inParts(one) {
  let sure = !one.id; // whether it is known how much of it is there
  if (!one.id && !one.lost) await resume(one);
  for (;;) {
    try {
      if (!one.id && (await begun(one))) return;
      if (!one.id) continue;
      await allParts(one, sure);
      const given = one.asked ? { taken: one.taken, there: one.there } : { taken: null };
      const told = await steadily(one, () => ask(one, "POST", `${words.address}/${one.id}/finish`, given));
      one.asked = false;
      if (told.received !== undefined) one.sent = received(told);
      else if (await settled(one, told)) return;
      else one.asked = true;
    } catch (error) {
      if (error.again !== "gone" || !one.id) throw error;
      one.release(); // finished, if an answer got lost; or given up
      Object.assign(one, { id: "", sent: 0, stored: 0, asked: false, lost: true });
    }
    sure = true;
  }
}

// Whether announcing it was all: it may be there already.
async function begun(one) {
  const json = { "Content-Type": "application/json" };
  const told = await steadily(one, () => once(one, "POST", words.address, JSON.stringify(one.announced), json));
  if (typeof told.id !== "string") return settled(one, told);
  Object.assign(one, { id: told.id, sent: received(told) });
  await one.keep(one.id);
  return false;
}

// Goes on with what an earlier page has begun, if no window does, and if that is how this very file begins.
async function resume(one) {
  const earlier = unfinished.find((other) => one.wasBegunAs(other));
  if (!earlier || !(await one.keep(earlier.id))) return;
  const forget = () => (unfinished = unfinished.filter((other) => other !== earlier));
  try {
    const told = await steadily(one, () => send(one, "GET", `${words.address}/${earlier.id}`));
    one.why = words.comparing;
    if (await isBeginning(one, received(told), told.digests)) {
      // What was decided then about a name that is taken holds, unless something was chosen beforehand now.
      Object.assign(one, { id: earlier.id, sent: told.received, asked: Boolean(one.batch.answer) });
      forget();
    }
  } catch (error) {
    if (error.again !== "gone") throw error;
    forget();
  } finally {
    one.why = "";
    if (!one.id) await one.release();
    offer();
  }
}

async function isBeginning(one, length, digests) {
  if (digests?.length !== Math.ceil(length / PART)) return false;
  for (let from = 0; from < length; from += PART) {
    const content = await one.content(from, Math.min(from + PART, length));
    if (one.state !== "going") throw new Stopped();
    if (hex(await crypto.subtle.digest("SHA-1", content)) !== digests[from / PART]) return false;
  }
  return true;
}

async function allParts(one, sure) {
  const place = `${words.address}/${one.id}`;
  if (!sure) one.sent = received(await steadily(one, () => send(one, "GET", place)));
  while (one.sent < one.size) {
    const told = await steadily(one, async (failures) => {
      const now = failures ? received(await send(one, "GET", place)) : one.sent;
      if (now !== one.sent) return { received: now };
      return send(one, "PUT", `${place}/${now}`, await one.content(now, Math.min(now + PART, one.size)));
    });
    one.sent = received(told);
  }
}

// Whether that is all; if the name is taken, it is not, unless the file is left out.
async function settled(one, told) {
  if (told.taken) {
    Object.assign(one, await decided(one, told.taken));
    if (one.taken !== "skip") return false;
    if (one.id) await steadily(one, () => send(one, "DELETE", `${words.address}/${one.id}`));
    Object.assign(one, { state: "out", why: words.out });
  } else if (typeof told.name === "string") {
    Object.assign(one, { state: "done", sent: one.size });
  } else {
    throw new Refused({ text: words.failed });
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
  if (known && !(there.folder && known === "replace")) return { taken: known, there: undefined };
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
  const taken = dialog.returnValue || "skip";
  const forAll = piece("for-all").checked;
  if (forAll) one.batch.answer = taken;
  return { taken, there: taken === "replace" && !forAll ? there.there : undefined };
}

// ── all of them ──
function add(found, batch) {
  for (const what of found) {
    const one = new Upload(what, batch);
    uploads.push(one);
    if (!one.unreadable) waiting.push(one);
  }
  offer();
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) run(waiting.shift());
  if (!running || performance.now() - shownAt > SHOWN_EVERY) show();
  if (!running && !waiting.length && !walking) ended();
}

async function ended() {
  const count = (state) => uploads.filter((one) => one.state === state).length;
  if (!count("done") || count("paused")) return;
  part("anew").hidden = false;
  if (count("failed") || count("out")) return say(part("total").textContent);
  const stored = uploads.filter((one) => one.file && one.state === "done").length;
  try {
    if (stored) await ask({ state: "going" }, "POST", `${words.address}-told`, { stored });
  } finally {
    if (!isActive()) location.reload();
  }
}

function stop(one, state) {
  const was = one.state;
  if (!["waiting", "going", "paused", "failed"].includes(was)) return;
  Object.assign(one, { state, why: "" });
  if (was === "waiting" && !one.busy) waiting.splice(waiting.indexOf(one), 1);
  if (was === "going") one.halt();
  if (state === "cancelled" && one.id) {
    send({ state: "going" }, "DELETE", `${words.address}/${one.id}`).catch(() => {}); // else it goes by itself
    one.release();
  }
}

function goOn(one) {
  if (!one.canGoOn) return;
  Object.assign(one, { state: "waiting", why: "" });
  if (!one.busy) waiting.unshift(one); // else as soon as it has stopped
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

const isActive = () => running + waiting.length + walking > 0 || uploads.some((one) => one.state === "paused");

// ── what was chosen ──
const ofFile = (file) => ({ file, path: (file.webkitRelativePath || file.name).split("/") });

// Everything in a folder that was dropped; of a folder with nothing in it, that.
async function walk(entry, above, found) {
  const path = [...above, entry.name];
  try {
    if (entry.isFile) {
      found.push({ file: await new Promise((read, failed) => entry.file(read, failed)), path });
      return;
    }
    const reader = entry.createReader();
    const before = found.length;
    for (;;) {
      const some = await new Promise((read, failed) => reader.readEntries(read, failed));
      if (!some.length) break;
      for (const one of some) await walk(one, path, found);
    }
    if (found.length === before) found.push({ file: null, path });
  } catch {
    found.push({ file: null, path, unreadable: true });
  }
}

const newBatch = () => ({ answer: form.taken.value === "ask" ? null : form.taken.value });

function begin() {
  form.taken.prepend(part("ask").content.firstElementChild);
  form.taken.value = "ask";
  form.querySelector("button").before(part("more").content);
  const [files, directory] = form.querySelectorAll("input[type=file]");
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
  unfinished = JSON.parse(words.unfinished);
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
    const found = [];
    walking++;
    for (const entry of entries) await walk(entry, [], found);
    walking--;
    add(found, batch);
  });
}

begin();
