// Which rows are ticked? The number is counted while one ticks, Shift takes the rows in
// between, and a field that is typed into ticks its own box.

for (const form of document.querySelectorAll("form[data-pick]")) {
  const boxes = [...form.querySelectorAll("input[name=id]")];
  const all = form.querySelector("[data-tick-all]");
  const words = form.querySelector("[data-ticked]");
  const told = form.querySelector("[data-told]");
  const these = form.querySelector("input[name=which][value=ticked]");
  let last = null;
  if (all) all.hidden = false;

  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    words.textContent = ticked === 1 ? "the 1 ticked row"
      : ticked ? `the ${ticked} ticked rows` : "none ticked yet";
    if (told.textContent || ticked) told.textContent = `${ticked} ticked`;
    if (all) {
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    for (const box of boxes) box.closest("tr").classList.toggle("on", box.checked);
  };

  form.addEventListener("click", ({ target, shiftKey }) => {
    if (!boxes.includes(target)) return;
    if (shiftKey && last !== null && last !== target) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(target)].sort((a, b) => a - b);
      for (const box of boxes.slice(from, to + 1)) box.checked = target.checked;
    }
    last = target;
  });
  form.addEventListener("change", ({ target }) => {
    if (target === all) for (const box of boxes) box.checked = all.checked;
    if (target === all || boxes.includes(target)) { these.checked = true; count(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = document.activeElement?.closest("tr");
    const box = row?.querySelector("input[name=id]");
    if (!box || !form.contains(box) || document.activeElement.matches("input:not([type=checkbox]), select, textarea")) return;
    event.preventDefault();
    box.click();
  });
  addEventListener("pageshow", count);
  count();
}

for (const row of document.querySelectorAll(".settable")) {
  row.addEventListener("input", ({ target }) => {
    if (!("set" in target.dataset)) row.querySelector("input[data-set]").checked = true;
  });
}
