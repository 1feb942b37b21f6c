// Keeps an open page true. The server pushes what changed (GET /live); without a stream the page asks every few
// seconds. Everything here is a convenience: without it each button is a form and each page tells the truth of the
// moment it was loaded.
"use strict";

const LIVE = "#live";
const SILENT_AFTER = 10_000; // the server beats every 4 s
const ASK_EVERY = 4_000;
const PATIENCE = 8_000; // a server that hangs would never answer
const STREAM_AGAIN_AFTER = 30_000;
const SAID_FOR = 20_000;
const REFRESH_EVERY = 600_000; // “yesterday 18:00” is right on a page left open for days

const find = (selector) => document.querySelector(selector);
const request = (address, options) => fetch(address, { signal: AbortSignal.timeout(PATIENCE), ...options });

// --- what is on the page ---------------------------------------------------------------------------------------------

let seen = find(LIVE)?.dataset.seen ?? ""; // the fingerprint of what the page shows
let told = 0; // how often the stream told something new

// Menus and faults that somebody opened stay open when what they stand in is drawn anew. htmx keeps the focus; where
// what had it is gone, it goes to the name of that relay.
function swap(target, html, style = "outerHTML") {
  const open = [...document.querySelectorAll("details[open][id]")].map((one) => one.id);
  const place = document.activeElement?.closest(".relay")?.id;
  htmx.swap(target, html, { swapStyle: style, swapDelay: 0, settleDelay: 0 });
  reopen(open);
  if (place && !document.activeElement?.closest(".relay")) find(`#${place} .name`)?.focus({ preventScroll: true });
  count();
}

function reopen(ids) {
  for (const id of ids) document.getElementById(id)?.setAttribute("open", "");
}

function count() {
  const lit = find(`${LIVE} #lit`);
  if (lit) {
    lit.textContent = document.querySelectorAll(".relay.lit").length;
    lit.parentElement.hidden = find(LIVE).classList.contains("stale"); // of some it is not known
  }
  tick();
}

// The live region, fetched and drawn anew; says whether the site answered. What the stream tells meanwhile may be newer
// than what is fetched: then it is fetched once more.
async function refresh() {
  if (!find(LIVE)) return ping();
  try {
    for (let tries = 0; tries < 5; tries++) {
      const before = told;
      const answer = await request(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) return signIn();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(LIVE);
      if (!page) return answer.ok;
      if (told !== before) continue;
      seen = page.dataset.seen ?? seen;
      swap(LIVE, page.outerHTML);
      return true;
    }
    soon();
    return true;
  } catch {
    return false;
  }
}

// Signed out: the page goes, and what waits for this does nothing more.
const signIn = () => new Promise(() => location.reload());

async function ping() {
  try {
    const { ok } = await request("/healthz");
    if (!stream) ships();
    return ok;
  } catch {
    return false;
  }
}

// --- the stream ------------------------------------------------------------------------------------------------------

let stream = null;
let heardAt = 0;
let hasOpened = false;
let streamAgainAt = 0;
let isAsking = false;

function listen() {
  close();
  hasOpened = false;
  heardAt = performance.now();
  stream = new EventSource(`/live?seen=${encodeURIComponent(seen)}`);
  const on = (name, act) =>
    stream.addEventListener(name, (event) => {
      heard();
      if (event.lastEventId) seen = event.lastEventId;
      act(JSON.parse(event.data || "{}"));
    });
  stream.onopen = () => {
    hasOpened = true;
    heard();
  };
  stream.onerror = gone;
  on("beat", () => {});
  on("card", draw);
  on("notices", ({ html, is_stale }) => {
    told++;
    find(LIVE)?.classList.toggle("stale", is_stale);
    if (find("#notices")) swap("#notices", html);
  });
  on("refresh", refresh);
  on("ships", ships);
  on("bye", signIn);
}

function draw({ id, html }) {
  told++;
  const card = find(`#relay-${id}`);
  if (card) swap(card, html);
  if (find(LIVE)?.dataset.relay === String(id)) soon();
}

// What else stands on a relay's page follows from its Events: fetched after the last of a burst.
let waiting = 0;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 300);
}

function close() {
  stream?.close();
  stream = null;
}

function heard() {
  heardAt = performance.now();
  lost(false);
}

// An error does not tell its cause: a restart, a lost network, or too many streams of this session (204).
function gone() {
  close();
  streamAgainAt = hasOpened ? 0 : performance.now() + STREAM_AGAIN_AFTER;
  ask();
}

// Lists of ships fetch themselves (hx-trigger="ships") when they show something else than what is known.
function ships(known) {
  const list = find("[data-ships]");
  if (list && list.dataset.ships !== known?.seen) list.dispatchEvent(new Event("ships"));
}

// Without a stream: ask, and tell by the answer whether the connection is lost.
async function ask() {
  if (stream || isAsking || document.hidden) return;
  isAsking = true;
  const isThere = await refresh();
  isAsking = false;
  lost(!isThere);
  if (isThere && !document.hidden && performance.now() >= streamAgainAt) listen();
}

function lost(is) {
  const bar = find("#lost");
  if (bar && bar.hidden === is) {
    bar.hidden = !is;
    document.body.classList.toggle("lost", is);
  }
}

// A browser allows six connections to a host: a hidden tab leaves its own to others.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : ask()));
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => event.persisted && ask());

setInterval(() => {
  if (!stream || performance.now() - heardAt <= SILENT_AFTER) return ask();
  lost(true);
  gone();
}, ASK_EVERY);
setInterval(() => document.hidden || refresh(), REFRESH_EVERY);
document.hidden || listen();

// --- switching -------------------------------------------------------------------------------------------------------

// Buttons of the one form of all switches, and forms that ask for the same. Not htmx's own requests: those hang on the
// button, and the stream has often drawn its card anew before the answer is there.
document.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (!event.target.matches("#door, .door") || !button) return;
  event.preventDefault();
  const form = new FormData(event.target);
  if (button.name) form.set(button.name, button.value);
  button.setAttribute("aria-busy", "true");
  leave(button.closest("details"));
  try {
    const address = button.hasAttribute("formaction") ? button.formAction : event.target.action;
    const answer = await request(address, {
      method: "POST",
      body: new URLSearchParams(form),
      headers: { "HX-Request": "true" },
    });
    if (answer.redirected || answer.status === 403) return signIn();
    if (!answer.ok) throw new Error(`the site answered ${answer.status}`);
    const card = !stream && answer.headers.get("HX-Retarget"); // a stream brings it, and what came after it
    if (card) told++; // what is just being fetched is older
    swap(card || document.body, await answer.text(), card ? "outerHTML" : "none");
    clear();
    if (!stream && !card) refresh();
  } catch (error) {
    say(`Not known whether that was done: ${error.message}. Look at the state, and try again.`);
    ask();
  }
  button.removeAttribute("aria-busy");
});

function say(sentence) {
  const line = document.createElement("p");
  line.className = "error";
  line.textContent = sentence;
  find("#messages").replaceChildren(line);
}

// What was said of one request is no news for long.
let clearing = 0;
function clear() {
  clearTimeout(clearing);
  clearing = setTimeout(() => find("#messages").replaceChildren(), SAID_FOR);
}
if (find(LIVE)) clear();

// A menu closes when something else is touched, and by Escape.
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details[name][open]")) if (!menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") leave(find("details[name][open]"));
});

function leave(menu) {
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

// --- what ticks ------------------------------------------------------------------------------------------------------

// Counted from when it was drawn: a phone's clock is not the house's.
const drawn = new WeakMap();

function tick() {
  for (const one of document.querySelectorAll("[data-left], [data-in], [data-for]")) {
    if (!drawn.has(one)) drawn.set(one, performance.now());
    const passed = (performance.now() - drawn.get(one)) / 1000;
    const { left, in: wait, for: since } = one.dataset;
    one.textContent = left ? countdown(left - passed) : age(wait ? wait - passed : Number(since) + passed);
  }
}

const two = (number) => String(number).padStart(2, "0");

function countdown(seconds) {
  const left = Math.max(0, Math.round(seconds));
  const [days, hours] = [Math.floor(left / 86400), Math.floor(left / 3600) % 24];
  const [minutes, rest] = [Math.floor(left / 60) % 60, two(left % 60)];
  if (days) return `${days} d ${two(hours)}:${two(minutes)}`;
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

function age(seconds) {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

setInterval(tick, 1000);
tick();

// A port's times can be told in this browser's zone.
addEventListener("htmx:load", () => {
  for (const link of document.querySelectorAll("[data-zone][hidden]")) {
    link.href += encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
    link.hidden = false;
  }
});
