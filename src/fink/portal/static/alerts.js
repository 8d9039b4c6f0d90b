// Rows of alerts as the server writes them in alert_rows.html.
const cell = (name, text, style = "") => {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.textContent = text ?? "–";
  return made;
};

export const alertRow = (alert) => {
  const row = document.createElement("tr");
  const head = cell("th", "");
  head.scope = "row";
  if (alert.page) {
    const link = cell("a", alert.label);
    link.href = alert.page;
    head.append(link);
  } else {
    head.textContent = alert.label;
  }
  const band = document.createElement("td");
  band.append(cell("span", alert.band, `band band-${alert.band}`));
  const number = (value, digits) => cell("td", value == null ? "–" : value.toFixed(digits), "number");
  const dec = alert.dec == null ? "–" : (alert.dec < 0 ? "" : "+") + alert.dec.toFixed(5);
  row.append(head, cell("td", alert.time, "when"), band, number(alert.mag, 2), number(alert.ra, 5), cell("td", dec, "number"), cell("td", alert.fink_class || "–"));
  return row;
};
