// The search field: suggestions while one types, chosen by keys or pointer; what was searched for lately; "/" goes to the field.

const RECENT = "searches";
const MOST_RECENT = 10;

const recent = () => {
  try {
    return JSON.parse(localStorage.getItem(RECENT) || "[]");
  } catch {
    return [];
  }
};

const remember = (text) => {
  if (!text) return;
  try {
    localStorage.setItem(RECENT, JSON.stringify([text, ...recent().filter((each) => each !== text)].slice(0, MOST_RECENT)));
  } catch {
    // a browser that keeps nothing has no recent searches
  }
};

class Combo {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector("[role=combobox]");
    this.list = form.querySelector("[role=listbox]");
    this.said = form.querySelector("[data-said]");
    this.shown = [];
    this.chosen = -1;
    this.typed = this.input.value;
    this.asked = 0;
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("click", () => this.changed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.clicked(event));
    form.addEventListener("submit", () => remember(this.input.value.trim()));
  }

  changed() {
    this.typed = this.input.value;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(this.typed), 90);
  }

  async ask(text) {
    const number = ++this.asked;
    const old = recent().filter((each) => each !== text && each.toLowerCase().startsWith(text.toLowerCase()));
    const mine = old.slice(0, text ? 3 : 6).map((each) => ({ text: each, kind: "recent", about: "Searched for lately", to: "" }));
    let found = [];
    try {
      const answer = await fetch(`/suggest?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
      if (answer.ok) found = (await answer.json()).suggestions;
    } catch {
      // without suggestions the field still searches
    }
    if (number !== this.asked || document.activeElement !== this.input) return;
    this.show([...mine, ...found.filter((each) => !mine.some((other) => other.text === each.text))]);
  }

  show(suggestions) {
    this.shown = suggestions;
    this.chosen = -1;
    this.input.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(
      ...suggestions.map((each, k) => {
        const item = document.createElement("li");
        item.id = `suggestion-${k}`;
        item.role = "option";
        item.ariaSelected = "false";
        for (const [name, text] of [["text", each.text], ["kind", each.kind], ["about", each.about]]) {
          const part = document.createElement("span");
          part.className = name;
          part.textContent = text;
          item.append(part);
        }
        return item;
      }),
    );
    this.list.hidden = !suggestions.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.said.textContent = suggestions.length ? `${suggestions.length} suggestions` : "";
  }

  close() {
    this.asked++;
    clearTimeout(this.timer);
    this.show([]);
  }

  move(step) {
    const last = this.shown.length - 1;
    this.chosen = this.chosen + step < -1 ? last : this.chosen + step > last ? -1 : this.chosen + step;
    [...this.list.children].forEach((item, k) => (item.ariaSelected = String(k === this.chosen)));
    const item = this.list.children[this.chosen];
    if (item) {
      this.input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
    this.input.value = this.chosen < 0 ? this.typed : this.shown[this.chosen].text;
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.list.hidden) this.ask(this.typed);
      else this.move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.input.value = this.typed;
      this.close();
    } else if (event.key === "Enter" && this.chosen >= 0) {
      event.preventDefault();
      this.take(this.shown[this.chosen]);
    }
  }

  clicked(event) {
    const item = event.target.closest("[role=option]");
    if (item) this.take(this.shown[[...this.list.children].indexOf(item)]);
  }

  // a key waits for its value; everything else is searched for
  take(suggestion) {
    this.input.value = suggestion.text;
    if (suggestion.kind === "key") {
      this.changed();
    } else if (suggestion.to) {
      remember(suggestion.text);
      location.assign(suggestion.to);
    } else {
      this.form.requestSubmit();
    }
  }
}

document.querySelectorAll("[data-search]").forEach((form) => new Combo(form));

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector("[role=combobox]");
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
