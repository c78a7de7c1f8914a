// How is another record picked? By typing: a combobox over a plain field, which works
// without this file too (the server then takes a key or an exact name).

const WAIT = 150; // ms without a key before the server is asked
let made = 0;

class Reference {
  constructor(input) {
    this.input = input;
    this.box = input.closest(".combo");
    this.key = this.box.querySelector("[data-picked-key]");
    this.keyFor = this.box.querySelector("[data-picked-for]");
    this.isMany = "many" in input.dataset;
    this.choices = [];
    this.active = -1;
    this.asked = 0;
    this.list = document.createElement("ul");
    this.list.className = "options";
    this.list.id = `options-${made += 1}`;
    this.list.hidden = true;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Choices");
    this.status = document.createElement("span");
    this.status.className = "hide";
    this.status.setAttribute("role", "status");
    this.box.append(this.list, this.status);
    for (const [name_, value] of Object.entries({
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false",
      "aria-controls": this.list.id,
    })) input.setAttribute(name_, value);
    input.addEventListener("input", () => this.typed());
    input.addEventListener("keydown", (event) => this.pressed(event));
    input.addEventListener("blur", () => this.close());
    input.addEventListener("click", () => { if (this.list.hidden) this.ask(""); });
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(Number(option.dataset.index));
    });
  }

  typed() {
    if (this.key) this.key.value = "";
    // What is listed is for another text: it is not to be chosen from by a quick hand.
    this.isStale = true;
    this.active = -1;
    this.input.removeAttribute("aria-activedescendant");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(this.input.value.trim()), WAIT);
  }

  async ask(term) {
    this.waiting?.abort();
    this.waiting = new AbortController();
    const asked = this.asked += 1;
    const url = new URL(this.input.dataset.lookup, location.href);
    url.searchParams.set("term", term);
    try {
      const response = await fetch(url, {
        headers: { Accept: "application/json" }, signal: this.waiting.signal,
      });
      if (!response.ok) throw new Error(response.statusText);
      const found = await response.json();
      if (asked === this.asked && document.activeElement === this.input) this.show(found);
    } catch (error) {
      if (error.name !== "AbortError") this.close();
    }
  }

  show({ choices, more }) {
    this.choices = choices;
    this.active = -1;
    this.isStale = false;
    this.list.replaceChildren(...choices.map((choice, index) => this.option(choice, index)));
    if (!choices.length) this.list.append(this.line("Nothing fits. Type less, or something else."));
    else if (more) this.list.append(this.line("There are more: type on."));
    this.status.textContent = choices.length
      ? `${choices.length} to choose from${more ? ", and more" : ""}` : "Nothing fits.";
    this.open(true);
    this.point();
  }

  option(choice, index) {
    const option = document.createElement("li");
    option.id = `${this.list.id}-${index}`;
    option.dataset.index = index;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.append(choice.label);
    if (choice.hint) {
      const hint = document.createElement("span");
      hint.className = "muted small";
      hint.textContent = choice.hint;
      option.append(hint);
    }
    return option;
  }

  line(words) {
    const line = document.createElement("li");
    line.className = "muted";
    line.setAttribute("role", "presentation");
    line.textContent = words;
    return line;
  }

  open(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.waiting?.abort();
    this.isStale = false;
    this.open(false);
  }

  point() {
    [...this.list.querySelectorAll("[role=option]")].forEach((option, index) => {
      const isActive = index === this.active;
      option.setAttribute("aria-selected", String(isActive));
      if (!isActive) return;
      this.input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    });
  }

  pressed(event) {
    if (event.isComposing) return;
    const isOpen = !this.list.hidden;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      if (isOpen && this.isStale) return;
      if (!isOpen) { this.ask(this.input.value === this.input.defaultValue ? "" : this.input.value.trim()); return; }
      const size = this.choices.length;
      if (size) this.active = (this.active + by + size + (this.active < 0 && by < 0 ? 1 : 0)) % size;
      this.point();
    } else if (event.key === "Enter" && this.isStale) {
      event.preventDefault(); // the answer to what was typed is on its way
    } else if (event.key === "Enter" && isOpen && this.active >= 0) {
      event.preventDefault();
      this.choose(this.active);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Tab") {
      this.close();
    }
  }

  choose(index) {
    const choice = this.choices[index];
    if (this.isMany) this.tick(choice);
    else {
      this.input.value = choice.label;
      this.keyFor.value = choice.label;
      if (this.key) this.key.value = choice.key;
    }
    this.close();
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // A filter takes several values: each becomes a ticked box above the field.
  tick(choice) {
    const picked = this.box.closest("fieldset").querySelector("[data-picked]");
    const known = [...picked.querySelectorAll("input")].find((box) => box.value === choice.key);
    if (known) known.checked = true;
    else {
      const label = document.createElement("label");
      label.className = "tick";
      const box = document.createElement("input");
      Object.assign(box, {
        type: "checkbox", name: this.input.name, value: choice.key, checked: true,
        className: "form-check-input",
      });
      label.append(box, ` ${choice.label}`);
      picked.append(label);
    }
    this.input.value = "";
  }
}

for (const input of document.querySelectorAll("[data-lookup]")) new Reference(input);
