// The page of an object: the light curve that can be zoomed, folded and shown in other units, stamps of any alert, copying, finding columns.
import { drawCurve } from "./light-curve.js";

const root = document.querySelector("[data-object]");
const told = root.querySelector("[data-told]");
const say = (text) => {
  told.textContent = text;
};

let data = JSON.parse(document.getElementById("object-data").textContent);
const curve = drawCurve(root, data, (alert) => choose(alert));

// Another alert: the server makes the page again, and what belongs to the alert is put in place of what was there.
let asked = 0;
async function choose(alert, remember = true) {
  const turn = ++asked;
  const address = new URL(location.href);
  address.searchParams.set("alert", alert);
  address.hash = "";
  const stamps = root.querySelector('[data-part="stamps"]');
  stamps.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return;
    for (const part of page.querySelectorAll("[data-part]")) {
      const mine = root.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!mine) continue;
      const open = [...mine.querySelectorAll("details")].map((each) => each.open);
      part.querySelectorAll("details").forEach((each, i) => {
        each.open = open[i] ?? each.open;
      });
      mine.replaceWith(document.adoptNode(part));
    }
  } catch (error) {
    stamps.removeAttribute("aria-busy");
    say(`The alert could not be loaded: ${error.message}`);
    return;
  }
  data = JSON.parse(document.getElementById("object-data").textContent);
  if (remember) history.pushState({ alert }, "", address);
  mark(alert);
  style();
  curve.update(data);
  find();
  say(root.querySelector('[data-part="epoch"]').textContent);
}

function mark(alert) {
  const select = root.querySelector("[data-epoch]");
  select.value = alert;
  for (const row of root.querySelectorAll("[data-row]")) row.toggleAttribute("aria-current", false);
  root.querySelector(`[data-row="${CSS.escape(alert)}"]`)?.setAttribute("aria-current", "true");
  steps();
}

function steps() {
  const select = root.querySelector("[data-epoch]");
  for (const button of root.querySelectorAll("[data-step]")) {
    button.disabled = !select.options[select.selectedIndex + Number(button.dataset.step)];
  }
}

// Stamps are drawn by the server in the stretch and colours that are asked for.
function style() {
  const stretch = root.querySelector("[data-stretch]").value;
  const colours = root.querySelector("[data-colours]").value;
  for (const image of root.querySelectorAll("[data-stamp]")) {
    const plain = stretch === "sigmoid" && colours === "gray";
    const address = plain ? image.dataset.stamp : `${image.dataset.stamp}&stretch=${stretch}&colormap=${colours}`;
    if (image.getAttribute("src") !== address) image.src = address;
  }
}

function find() {
  const word = root.querySelector("[data-find]").value.trim().toLowerCase();
  for (const group of root.querySelectorAll("#columns details")) {
    let shown = 0;
    for (const row of group.querySelectorAll("tbody tr")) {
      row.hidden = word !== "" && !row.textContent.toLowerCase().includes(word);
      shown += row.hidden ? 0 : 1;
    }
    const missing = group.querySelector(".missing");
    const named = missing?.textContent.toLowerCase().includes(word);
    group.hidden = word !== "" && shown === 0 && !named;
    if (word !== "") group.open = true;
  }
}

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // without a secure address there is no clipboard to write to; a selection still can be copied
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  say("Copied");
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
}

root.addEventListener("click", (event) => {
  const target = event.target.closest("[data-copy], [data-step], [data-alert], [data-sky]");
  if (!target) return;
  if (target.dataset.copy !== undefined) copy(target);
  else if (target.dataset.step) {
    const select = root.querySelector("[data-epoch]");
    const next = select.options[select.selectedIndex + Number(target.dataset.step)];
    if (next) choose(next.value);
  } else if (target.dataset.alert && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    choose(target.dataset.alert);
    root.querySelector("#stamps").scrollIntoView();
  } else if (target.hasAttribute("data-sky") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    const frame = document.createElement("iframe");
    frame.src = target.href;
    frame.title = "Images of the sky";
    root.querySelector("[data-sky-box]").replaceChildren(frame);
    target.remove();
    frame.focus();
  }
});
root.addEventListener("change", (event) => {
  if (event.target.matches("[data-epoch]")) choose(event.target.value);
  if (event.target.matches("[data-stretch], [data-colours]")) style();
});
root.querySelector("[data-epochs]").addEventListener("submit", (event) => event.preventDefault());
root.querySelector("[data-find-label]").hidden = false;
root.addEventListener("input", (event) => {
  if (event.target.matches("[data-find]")) find();
});
addEventListener("popstate", () => {
  const select = root.querySelector("[data-epoch]");
  choose(new URL(location.href).searchParams.get("alert") ?? select.options[0].value, false);
});
steps();
