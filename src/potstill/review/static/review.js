// Keys, drafts and marks. Every page works without this file.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const form = $("#answer");
const DRAFT = "potstill-draft";
const SAID = "potstill-said";

function say(text) {
  const live = $("#live");
  if (live) live.textContent = text;
}

// What was typed survives a reload, a crash of the browser and a restart of the server.
function fieldsOf(of) {
  return [...new FormData(of)].filter(([name]) => !["token", "item", "shown", "away"].includes(name));
}
function keepDraft() {
  try {
    localStorage.setItem(DRAFT, JSON.stringify({ item: form.dataset.item, fields: fieldsOf(form) }));
  } catch { /* storage is full or not allowed */ }
}
function dropDraft() {
  try { localStorage.removeItem(DRAFT); } catch { /* not allowed */ }
}
function restoreDraft() {
  let draft = null;
  try { draft = JSON.parse(localStorage.getItem(DRAFT)); } catch { /* not allowed, or damaged */ }
  if (!draft || draft.item !== form.dataset.item) return;
  for (const [name, value] of draft.fields) {
    for (const field of form.elements) {
      if (field.name !== name) continue;
      if (field.type === "radio" || field.type === "checkbox") field.checked = field.checked || field.value === value;
      else if (field.tagName === "TEXTAREA") field.value = value;
    }
  }
}

// Time during which the page was not visible does not count.
let hiddenSince = document.hidden ? Date.now() : 0;
let away = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = Date.now();
  else if (hiddenSince) { away += Date.now() - hiddenSince; hiddenSince = 0; }
  if (form) $("[name=away]", form).value = (away / 1000).toFixed(1);
});

// Answers are sent in the background, so that a server that is gone loses nothing of what is on the page.
let sending = false;
async function send(of, submitter) {
  if (sending) return;
  sending = true;
  document.body.classList.add("sending");
  const body = new URLSearchParams(new FormData(of));
  if (submitter && submitter.name) body.set(submitter.name, submitter.value);
  const unsaved = $("#unsaved");
  for (;;) {
    try {
      const response = await fetch(of.getAttribute("action"), { method: "POST", body, redirect: "manual", credentials: "same-origin" });
      if (response.type === "opaqueredirect") {
        dropDraft();
        try { sessionStorage.setItem(SAID, of.id === "undo" ? "Taken back." : "Saved."); } catch { /* not allowed */ }
        location.reload();
        return;
      }
      if (response.status < 500) {
        const words = new DOMParser().parseFromString(await response.text(), "text/html");
        const fault = $(".fault, .lead", words);
        unsaved.textContent = fault ? fault.textContent : "This was not saved. Reload the page.";
        unsaved.hidden = false;
        break;
      }
      throw new Error(String(response.status));
    } catch {
      unsaved.textContent = "Not saved yet: the server does not answer. Your answer stays here, and is sent as soon as it does.";
      unsaved.hidden = false;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  sending = false;
  document.body.classList.remove("sending");
}

// The criterion that digits score.
const criteria = $$(".criterion");
let current = 0;
function mark(index, focus = true) {
  current = Math.max(0, Math.min(index, criteria.length - 1));
  criteria.forEach((one, i) => one.classList.toggle("current", i === current));
  if (!focus) return;
  const target = $("input:checked", criteria[current]) || $("input", criteria[current]);
  target.focus({ preventScroll: true });
  criteria[current].scrollIntoView({ block: "nearest" });
}
function score(value) {
  const input = $$("input", criteria[current]).find((one) => one.value === value);
  if (!input) return false;
  input.checked = true;
  keepDraft();
  if (current + 1 < criteria.length) mark(current + 1);
  else $("[value=save]", form).focus();
  return true;
}

function press(key) {
  const found = $$("[data-key]").find((one) => one.dataset.key.split(" ").includes(key) && !one.hidden);
  if (!found) return false;
  if (found.matches("input, select")) found.focus();
  else found.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input:not([type=radio], [type=checkbox]), select");
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (event.ctrlKey && event.key === "Enter" && form && typing) {
    const save = $("[value=save]", form);
    if (save) save.click();
    event.preventDefault();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  let done = false;
  if (criteria.length && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    const inside = event.target.closest(".criterion, .choices") || event.target === document.body || event.target.id === "main";
    if (inside) { mark(current + (event.key === "ArrowUp" ? -1 : 1)); done = true; }
  } else if (criteria.length && /^[0-9]$/.test(event.key)) done = score(event.key);
  else if (criteria.length && event.key === "c") done = score("?");
  else if (form && /^[1-9]$/.test(event.key)) {
    const box = $$("[name=failed]", form)[Number(event.key) - 1];
    if (box) { box.checked = !box.checked; keepDraft(); done = true; }
  } else if (event.key === "r" && $("#reason")) { $("#reason").focus(); done = true; }
  else if (event.key === "Enter") {
    const own = event.target.closest("a, button, summary");
    if (!own) done = press("Enter");
  } else if (event.key.startsWith("Arrow")) {
    const scrolls = event.target.closest(".pane, pre");
    if (!scrolls) done = press(event.key);
  } else done = press(event.key);
  if (done) event.preventDefault();
});

if (form) {
  restoreDraft();
  form.addEventListener("input", keepDraft);
  for (const one of [form, $("#undo")]) {
    one.addEventListener("submit", (event) => {
      event.preventDefault();
      send(one, event.submitter);
    });
  }
  criteria.forEach((one, i) => one.addEventListener("focusin", () => mark(i, false)));
  if (criteria.length) {
    const open = criteria.findIndex((one) => !$("input:checked", one));
    mark(open < 0 ? 0 : open, false);
  }
  let said = "";
  try { said = sessionStorage.getItem(SAID) || ""; sessionStorage.removeItem(SAID); } catch { /* not allowed */ }
  scrollTo(0, 0);
  $("#main").focus({ preventScroll: true });
  setTimeout(() => say(`${said} ${$("h1").textContent}.`.trim()), 100);
}

// What supports a sentence of a summary.
function support(sentence) {
  $$(".supports").forEach((one) => one.classList.remove("supports"));
  $$(".sentence.active").forEach((one) => one.classList.remove("active"));
  if (!sentence || !sentence.dataset.supports) return;
  sentence.classList.add("active");
  const found = sentence.dataset.supports.split(" ").map((n) => document.getElementById(`s${n}`));
  found.forEach((one) => one.classList.add("supports"));
  const pane = $("#source");
  const first = found[0];
  const above = first.offsetTop < pane.scrollTop;
  const below = first.offsetTop + first.offsetHeight > pane.scrollTop + pane.clientHeight;
  if (above || below) pane.scrollTop = first.offsetTop - pane.clientHeight / 3;
}
for (const sentence of $$(".sentence")) {
  for (const event of ["mouseenter", "focus", "click"]) sentence.addEventListener(event, () => support(sentence));
  for (const event of ["mouseleave", "blur"]) sentence.addEventListener(event, () => support(null));
}

const toggle = $("#differences");
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const on = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(on));
    $$(".marked").forEach((one) => { one.hidden = !on; });
    $$(".as-written").forEach((one) => { one.hidden = on; });
    say(on ? "Differences are shown." : "Differences are not shown.");
  });
}

const help = $("#help-button");
if (help) {
  help.hidden = false;
  help.addEventListener("click", () => $("#help").showModal());
}
document.documentElement.classList.add("scripted");
