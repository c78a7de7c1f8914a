// How does a page get onto paper? Its print button asks the browser. Without scripts
// there is none, and the browser's own menu prints the same.

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
