// The desk where a filter is written: what it takes, or what is wrong, while it is typed; and every word that may be used.
import { alertRow } from "./alerts.js";

const form = document.getElementById("filter");
const text = form.elements.where;
const verdict = document.getElementById("verdict");
const examples = document.getElementById("examples");
const made = (name, content = "", style = "") => {
  const element = document.createElement(name);
  if (style) element.className = style;
  element.textContent = content;
  return element;
};
const count = (number) => number.toLocaleString("en");
const night = (number) => String(number).replace(/(\d{4})(\d\d)(\d\d)/, "$1-$2-$3");

let asked = 0;
const address = () => `/filter?${new URLSearchParams(new FormData(form))}`;

const wrong = (where, error) => {
  const box = made("div", "", "wrong");
  box.append(made("strong", `${error.title}.`, "bad"), ` ${error.message}`);
  if (error.at != null) {
    const line = made("code");
    line.append(where.slice(0, error.at), made("mark", where.slice(error.at, error.at + error.length) || " "), where.slice(error.at + error.length));
    const shown = made("pre", "", "condition");
    shown.append(line);
    box.append(shown);
  }
  return box;
};

const right = (answer) => {
  if (!answer.trial) return made("p", `The condition can be read. ${answer.survey.toUpperCase()} has no night in this archive to try it on.`, "soft");
  const { selected, alerts, first, last } = answer.trial;
  const line = made("p", "", "count");
  const when = first === last ? `in the night of ${night(first)}` : `from ${night(first)} to ${night(last)}`;
  line.append(made("strong", count(selected)), ` of ${count(alerts)} alerts ${when}`);
  return line;
};

const table = (rows) => {
  const heads = ["Object", "Time (UTC)", "Filter", "Magnitude", "RA [°]", "Dec [°]", "Class"];
  const whole = made("table", "", "alerts");
  const line = whole.createTHead().insertRow();
  heads.forEach((name, place) => {
    const head = made("th", name, place > 2 && place < 6 ? "number" : "");
    head.scope = "col";
    line.append(head);
  });
  const body = whole.createTBody();
  if (rows.length) body.append(...rows.map(alertRow));
  else {
    const none = body.insertRow();
    none.className = "none";
    none.insertCell().colSpan = 7;
    none.cells[0].textContent = "It takes none of these alerts";
  }
  const box = made("div", "", "scroll");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Alerts that it takes");
  box.append(whole);
  return box;
};

const quoted = (word) => (/^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);
const command = document.querySelector("[data-command]");
const keep = document.getElementById("keep");
const tell = () => {
  const { name, most } = keep.elements;
  const where = text.value.trim() || "mag < 18";
  command.textContent = `fink filter create ${name.value || "my_filter"} ${quoted(where)} --survey ${form.elements.survey.value} --most ${most.value || 200}`;
};

const judge = async () => {
  const mine = ++asked;
  const where = text.value.trim();
  history.replaceState(null, "", where ? address() : "/filter");
  tell();
  if (!where) {
    verdict.replaceChildren();
    examples.replaceChildren();
    return;
  }
  verdict.classList.add("waiting");
  let shown;
  let rows = null;
  try {
    const reply = await fetch(`${address()}&format=json`);
    const answer = await reply.json();
    if (reply.ok) {
      shown = answer.error ? wrong(answer.where, answer.error) : right(answer);
      rows = answer.trial ? answer.trial.newest : null;
    } else {
      shown = wrong(where, { title: answer.title, message: answer.detail });
    }
  } catch {
    shown = made("p", "The server does not answer; what you wrote stays here.", "bad");
  }
  if (mine !== asked) return;
  verdict.classList.remove("waiting");
  verdict.replaceChildren(shown);
  examples.replaceChildren(...(rows ? [table(rows)] : []));
};

let waiting = 0;
const soon = () => {
  clearTimeout(waiting);
  waiting = setTimeout(judge, 300);
};
text.addEventListener("input", soon);
form.addEventListener("change", (event) => event.target !== text && judge());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  judge();
});

// Words
const list = document.getElementById("words");
const field = document.getElementById("word");
const said = document.querySelector("[data-number]");
const SHOWN = 60;
let words = [];
const insert = (word) => {
  const { selectionStart: start, selectionEnd: end, value } = text;
  const space = start && !/[\s(]$/.test(value.slice(0, start)) ? " " : "";
  text.setRangeText(space + word, start, end, "end");
  text.focus();
  soon();
};
const find = () => {
  const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.filter((word) => wanted.every((part) => word.text.includes(part)));
  list.replaceChildren(
    ...found.slice(0, SHOWN).map((word) => {
      const button = made("button");
      button.type = "button";
      button.append(made("code", word.name), made("span", word.about));
      button.addEventListener("click", () => insert(word.name));
      const item = made("li");
      item.append(button);
      return item;
    }),
  );
  said.textContent = found.length > SHOWN ? `${SHOWN} of ${count(found.length)}; type to find others` : `${count(found.length)} found`;
};
const load = async () => {
  const { columns, cuts } = await (await fetch("/filter/words")).json();
  const named = cuts.map(({ name, about, where }) => ({ name, about: `${about}. Cut: ${where}` }));
  const measured = columns.map(({ name, about, unit, module, type }) => ({ name, about: `${about}${unit ? ` [${unit}]` : ""} · ${type}${module ? ` · ${module}` : ""}` }));
  words = [...named, ...measured].map((word) => ({ ...word, text: `${word.name} ${word.about}`.toLowerCase() }));
  field.hidden = list.hidden = false;
  find();
};
field.addEventListener("input", find);
load();

// Keeping
const kept = document.querySelector("[data-kept]");
const remembered = (write) => {
  try {
    if (write !== undefined) sessionStorage.setItem("token", write);
    return sessionStorage.getItem("token") || "";
  } catch {
    return "";
  }
};
const send = async () => {
  const { name, about, most, token } = keep.elements;
  remembered(token.value);
  const wanted = { name: name.value, where: text.value.trim(), surveys: [form.elements.survey.value], most_per_night: Number(most.value) };
  const headers = { "Content-Type": "application/json", ...(token.value ? { Authorization: `Bearer ${token.value.trim()}` } : {}) };
  const body = JSON.stringify(about.value ? { ...wanted, about: about.value } : wanted);
  const reply = await fetch("/api/v1/filters", { method: "POST", headers, body });
  const answer = await reply.json();
  if (!reply.ok) {
    kept.replaceChildren(made("strong", "It was not kept: ", "bad"), answer.detail ?? reply.statusText);
    return;
  }
  const link = made("a", answer.name);
  link.href = `/${form.elements.survey.value}/substream/${answer.name}`;
  kept.replaceChildren(made("strong", "Kept: ", "good"), link, ` selects from the next commit on. Of the last month it would have taken ${count(answer.trial.selected)} alerts.`);
};
keep.hidden = false;
keep.elements.token.value = remembered();
keep.addEventListener("input", tell);
keep.addEventListener("submit", (event) => {
  event.preventDefault();
  kept.textContent = "Trying it on the last month…";
  send().catch(() => { kept.textContent = "The server does not answer; what you wrote stays here."; });
});
tell();
