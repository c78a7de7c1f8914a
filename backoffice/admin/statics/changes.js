// Which fields of this form were changed, and may the page be left?

const form = document.querySelector("form[data-record]");
const counter = form.querySelector("[data-changes]");
let isSent = false;

function differs(control) {
  if (control.type === "checkbox" || control.type === "radio") {
    return control.checked !== control.defaultChecked;
  }
  if (control instanceof HTMLSelectElement) {
    const options = [...control.options];
    const usual = options.findIndex((option) => option.defaultSelected);
    return control.selectedIndex !== Math.max(usual, 0);
  }
  return control.value !== control.defaultValue;
}

// What the server found changed stays so: the values it had before are not here.
const fields = [...form.querySelectorAll(".field")].map((box) => ({
  box,
  wasChanged: box.classList.contains("changed"),
  controls: [...box.querySelectorAll("input, select, textarea")]
    .filter((control) => control.type !== "hidden" && !control.readOnly),
}));

function count() {
  let changed = 0;
  for (const { box, wasChanged, controls } of fields) {
    const isChanged = wasChanged || controls.some(differs);
    box.classList.toggle("changed", isChanged);
    changed += isChanged ? 1 : 0;
  }
  return changed;
}

function show() {
  const changed = count();
  if (!counter) return;
  const words = changed ? `${changed} field${changed === 1 ? "" : "s"} changed` : "";
  if (counter.textContent.trim() === words) return;
  counter.textContent = "";
  if (!words) return;
  const dot = document.createElement("span");
  dot.className = "dot acc";
  dot.textContent = words;
  counter.append(dot);
}

const touched = () => fields.length
  ? count() > 0
  : [...form.elements].some((each) => each.name && each.type !== "hidden" && differs(each));

form.addEventListener("input", (event) => {
  const chooses = event.target.dataset?.chooses;
  if (chooses) document.getElementById(chooses).checked = true;
  show();
});
form.addEventListener("change", show);
// A form that the server would not read comes back empty: better not to send it.
function tooLarge(event) {
  const largest = Number(form.dataset.largest ?? 0);
  if (!largest || !counter) return false;
  const size = new URLSearchParams(new FormData(form, event.submitter)).toString().length;
  if (size <= largest) return false;
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1).replace(/\.0$/, "");
  const words = document.createElement("span");
  words.className = "t-bad";
  words.textContent = `Not sent: this form has ${megabytes(size)} MB, `
    + `${megabytes(largest)} MB is the most. Shorten a text.`;
  counter.replaceChildren(words);
  return true;
}

form.addEventListener("submit", (event) => {
  if (isSent || tooLarge(event)) {
    event.preventDefault();
    return;
  }
  isSent = true;
  setTimeout(() => { isSent = false; }, 10_000); // nothing came back: let it be tried again
});
window.addEventListener("pageshow", () => { isSent = false; show(); });
window.addEventListener("beforeunload", (event) => {
  if (!isSent && touched()) event.preventDefault();
});
show();
