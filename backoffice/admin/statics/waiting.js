// What was sent takes its time: that is said beside the button, with the seconds that it
// has taken so far, until the answer is here.
const form = document.querySelector("form:has([data-waiting])");
const told = form?.querySelector("[role=status]");
const before = told?.textContent;
let ticking = 0;

form?.addEventListener("submit", (event) => {
  const words = event.submitter?.dataset.waiting;
  if (!words || event.defaultPrevented) return;
  const began = performance.now();
  clearInterval(ticking);
  event.submitter.setAttribute("aria-busy", "true");
  told.textContent = words;
  const seconds = told.appendChild(document.createElement("span"));
  seconds.setAttribute("aria-hidden", "true");
  ticking = setInterval(() => {
    seconds.textContent = ` ${Math.round((performance.now() - began) / 1000)} s so far.`;
  }, 1000);
});

// Back to a page that the browser has kept: nothing is on its way any more.
addEventListener("pageshow", (event) => {
  if (!event.persisted || !told) return;
  clearInterval(ticking);
  told.textContent = before;
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
});
