// The live feed of a substream, where the reader asks for it.
import { alertRow } from "./alerts.js";

const MOST = 100;
const box = document.querySelector("[data-live]");

// MJD in TAI as a date in UTC; there has been no leap second since 2017
const date = (mjd) => new Date((mjd - 40587) * 86400000 - 37000).toISOString().slice(0, 19).replace("T", " ");
// numbers of objects have more digits than a JavaScript number
const parse = (text) => JSON.parse(text.replace(/([:[,]\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"$2"'));

if (box) {
  const names = JSON.parse(box.dataset.names);
  const state = box.querySelector("[data-state]");
  const button = box.querySelector("[data-switch]");
  const body = box.querySelector("tbody");
  const bands = { 1: "g", 2: "r", 3: "i" };
  let feed = null;
  let taken = 0;
  const read = (sent) => {
    const value = (name) => sent[names[name]] ?? null;
    const object = value("object_id");
    const moving = value("sso_name") === "null" ? null : value("sso_name");
    return {
      label: object ?? moving ?? value("alert_id"),
      page: object ? `/${box.dataset.survey}/object/${object}` : moving ? `/sso/${encodeURIComponent(moving)}` : "",
      time: value("mjd") == null ? null : date(value("mjd")),
      band: bands[value("band")] ?? value("band"),
      mag: value("mag"),
      ra: value("ra"),
      dec: value("dec"),
      fink_class: value("fink_class"),
    };
  };
  const stop = () => {
    feed?.close();
    feed = null;
    button.textContent = "Listen";
    button.setAttribute("aria-pressed", "false");
    state.textContent = taken ? `Stopped after ${taken.toLocaleString("en")} alerts` : "Not listening";
  };
  const start = () => {
    feed = new EventSource(box.dataset.live);
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    state.textContent = "Connecting…";
    feed.addEventListener("open", () => { state.textContent = "Listening: nothing new yet"; });
    feed.addEventListener("error", () => { state.textContent = "The connection was lost; trying again…"; });
    feed.addEventListener("alert", (event) => {
      taken += 1;
      body.querySelector(".none")?.remove();
      const row = alertRow(read(parse(event.data)));
      row.classList.add("fresh");
      body.prepend(row);
      while (body.rows.length > MOST) body.lastElementChild.remove();
      state.textContent = `Listening: ${taken.toLocaleString("en")} new`;
    });
  };
  box.hidden = false;
  button.addEventListener("click", () => (feed ? stop() : start()));
}
