// Which key does what? All of it can be done without; single keys rest inside fields
// and can be turned off for this browser.

const OFF = "backoffice.keys.off";
const GO_WITHIN = 1500; // ms between g and the letter
const find = (selector) => document.querySelector(selector);
const isOff = () => {
  try { return localStorage.getItem(OFF) === "1"; } catch { return false; }
};
let going = 0;

// g and a letter: the first letter of each menu line that is still free.
function places() {
  const taken = new Map();
  for (const link of document.querySelectorAll("#nav nav a")) {
    const letter = [...link.textContent.toLowerCase()].find(
      (each) => /[a-z0-9]/.test(each) && !taken.has(each));
    if (letter) taken.set(letter, link);
  }
  return taken;
}

function rowLinks() {
  return [...document.querySelectorAll("main .rows tbody tr")]
    .map((row) => row.querySelector(".first a, a"))
    .filter(Boolean);
}

function step(by) {
  const links = rowLinks();
  const row = document.activeElement?.closest("main .rows tbody tr");
  const here = row ? links.findIndex((link) => row.contains(link)) : -1;
  const next = links[here < 0 ? (by > 0 ? 0 : links.length - 1) : here + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function openFilters() {
  const drawer = find("#filters");
  if (!drawer) return;
  drawer.open = true;
  drawer.querySelector("input:not([type=hidden]), select")?.focus();
}

function closeOverlays(except) {
  for (const open of document.querySelectorAll("details.pop[open]")) {
    if (open.contains(except)) continue;
    const inside = open.contains(document.activeElement);
    open.open = false;
    if (inside) open.querySelector("summary").focus();
  }
}

const SINGLE = {
  "/": () => { const search = find("[type=search]"); search?.focus(); search?.select(); },
  f: openFilters,
  j: () => step(1),
  k: () => step(-1),
  n: () => find("a[rel=next]")?.click(),
  p: () => find("a[rel=prev]")?.click(),
  c: () => find("[data-key=c]")?.click(),
  e: () => find("[data-key=e]")?.click(),
  g: () => { going = performance.now(); },
  "?": showKeys,
};

const isField = (element) =>
  element instanceof HTMLElement && (element.isContentEditable
    || element.matches("textarea, select, input:not([type=checkbox], [type=radio])"));

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    const save = find("[data-save]");
    if (save) { event.preventDefault(); save.form.requestSubmit(save); }
    return;
  }
  if (event.key === "Escape") {
    const close = find("#nav:target .close");
    if (find("details.pop[open]")) closeOverlays();
    else if (close?.offsetParent) close.click();
    else if (isField(event.target)) event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isOff()) return;
  if (isField(event.target) || find("dialog[open]")) return;
  if (going && performance.now() - going < GO_WITHIN) {
    going = 0;
    const link = places().get(event.key.toLowerCase());
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  const does = Object.hasOwn(SINGLE, event.key) && SINGLE[event.key];
  if (does) { event.preventDefault(); does(); }
});

document.addEventListener("click", (event) => closeOverlays(event.target));

// In a low window the line of the menu where one is may stand below its foot. Not by
// scrollIntoView: the next Tab would go on from there, past the link to the content.
function showWhereOneIs() {
  const [nav, here, foot] = ["#nav", "#nav [aria-current]", "#nav .end"].map(find);
  if (!here || !foot) return;
  const hidden = here.getBoundingClientRect().bottom - foot.getBoundingClientRect().top;
  if (hidden > 0) nav.scrollTop += hidden;
}
showWhereOneIs();

// The list of keys ----------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function keyLine(keys, words) {
  const shown = element("dt");
  for (const key of keys) shown.append(element("kbd", {}, key), " ");
  return [shown, element("dd", {}, words)];
}

function showKeys() {
  const facts = element("dl", { class: "facts" });
  const add = (keys, words, when = true) => { if (when) facts.append(...keyLine(keys, words)); };
  add(["/"], "search", find("[type=search]"));
  add(["f"], "filters", find("#filters"));
  add(["j", "k"], "next and previous row, Enter opens it", rowLinks().length);
  add(["n", "p"], "next and previous page", find("a[rel=next], a[rel=prev]"));
  for (const key of ["c", "e"]) {
    const does = find(`[data-key=${key}]`);
    add([key], does?.textContent.trim().toLowerCase(), does);
  }
  add(["Ctrl", "S"], "save", find("[data-save]"));
  add(["Esc"], "close what lies on top, or leave a field");
  for (const [letter, link] of places()) add(["g", letter], link.textContent.trim());
  add(["?"], "this list");
  const box = element("input", { type: "checkbox", class: "form-check-input", id: "keys-on" });
  box.checked = !isOff();
  box.addEventListener("change", () => {
    try { localStorage.setItem(OFF, box.checked ? "0" : "1"); } catch { box.checked = true; }
  });
  const close = element("button", { class: "btn", type: "button" }, "Close");
  const dialog = element("dialog", { class: "keys", "aria-labelledby": "keys-title" },
    element("div", { class: "head" },
      element("h2", { id: "keys-title" }, "Keys"), element("span", { class: "act" }, close)),
    facts,
    element("label", { class: "choice", for: "keys-on" }, box,
      element("span", {}, "Single keys work in this browser")));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

for (const button of document.querySelectorAll("[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", showKeys);
}
