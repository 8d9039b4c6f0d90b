// Light curves with Plotly: flux or magnitude, difference or total, folded by a period, with fitted models.
const SYMBOLS = { u: "circle", g: "triangle-up", r: "triangle-down", i: "square", z: "diamond", y: "cross" };
const ZERO = 31.4;
const KINDS = { detection: "detection", forced: "forced photometry", limit: "upper limit" };
const FAINT = 3;

const magnitude = (flux) => ZERO - 2.5 * Math.log10(Math.abs(flux));
const date = (mjd) => new Date((mjd - 40587) * 86400000 - 37000).toISOString().slice(0, 16).replace("T", " ");

// Colours are named in the style sheet, as different ones for day and night: only an element knows which holds.
function colours(box) {
  const probe = document.createElement("span");
  box.append(probe);
  const of = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { ink: of("ink"), soft: of("soft"), line: of("line"), edge: of("edge"), card: of("card"), accent: of("accent") };
  for (const band of [...Object.keys(SYMBOLS), "other"]) found[band] = of(`band-${band}`);
  probe.remove();
  return found;
}

// What is shown of a point: its value, error, and whether that is an upper limit; null where it has none.
function reading(points, i, choices) {
  const total = choices.quantity.startsWith("total");
  const flux = points[total ? "total_flux" : "flux"][i];
  const error = points[total ? "total_flux_err" : "flux_err"][i];
  const limit = points.kind[i] === "limit";
  if (limit && total) return null;
  if (choices.quantity.endsWith("flux")) {
    if (limit) return error === null ? null : { value: (5 * error) / choices.unit, limit: true };
    return flux === null ? null : { value: flux / choices.unit, error: (error ?? 0) / choices.unit };
  }
  if (limit) return error === null ? null : { value: magnitude(5 * error), limit: true };
  if (!flux || (total && flux < 0)) return null;
  if (points.kind[i] === "forced" && error !== null && Math.abs(flux) < FAINT * error) return { value: magnitude(5 * error), limit: true };
  return { value: magnitude(flux), error: error === null ? 0 : (1.0857 * error) / Math.abs(flux), negative: flux < 0 };
}

function traces(data, choices, colour) {
  const points = data.light_curve;
  const groups = new Map();
  for (let i = 0; i < points.mjd.length; i++) {
    const band = points.band[i];
    if (choices.hidden.has(band)) continue;
    const read = reading(points, i, choices);
    if (!read) continue;
    if (points.kind[i] === "forced" && !choices.forced) continue;
    if (read.limit && !choices.limit) continue;
    const kind = read.limit ? "limit" : points.kind[i];
    const key = `${kind} ${band}`;
    if (!groups.has(key)) groups.set(key, { kind, band, x: [], y: [], error: [], text: [], alert: [], negative: [] });
    const group = groups.get(key);
    const unit = choices.quantity.endsWith("flux") ? choices.unitName : "mag";
    const value = `${read.limit ? (unit === "mag" ? "> " : "< ") : ""}${Number(read.value.toPrecision(5))}${read.limit ? "" : ` ± ${Number(read.error.toPrecision(2))}`} ${unit}`;
    const where = { x: points.mjd[i] };
    if (choices.period) where.x = ((((points.mjd[i] - choices.start) / choices.period) % 1) + 1) % 1;
    const told = `${band}, ${value}<br>MJD ${points.mjd[i].toFixed(4)}<br>${date(points.mjd[i])} UTC<br>${read.negative ? "fainter than the template, " : ""}${KINDS[points.kind[i]]}${points.alert[i] ? "" : points.kind[i] === "detection" ? ", without an alert here" : ""}`;
    for (const turn of choices.period ? [0, 1] : [0]) {
      group.x.push(where.x + turn);
      group.y.push(read.value);
      group.error.push(read.error ?? 0);
      group.text.push(told);
      group.alert.push(points.alert[i]);
      group.negative.push(Boolean(read.negative));
    }
  }
  const order = { limit: 0, forced: 1, detection: 2 };
  return [...groups.values()].sort((a, b) => order[a.kind] - order[b.kind]).map((group) => pointTrace(group, colour));
}

function pointTrace(group, colour) {
  const ink = colour[group.band.toLowerCase()] ?? colour.other;
  const symbol = SYMBOLS[group.band.toLowerCase()] ?? "circle";
  const limit = group.kind === "limit";
  const marks = limit ? "triangle-down-open" : group.negative.map((negative) => (group.kind === "forced" || negative ? `${symbol}-open` : symbol));
  return {
    type: "scatter",
    mode: "markers",
    name: `${group.band} ${KINDS[group.kind]}`,
    x: group.x,
    y: group.y,
    error_y: limit ? undefined : { type: "data", array: group.error, color: ink, thickness: 1, width: 0 },
    customdata: group.alert,
    text: group.text,
    hovertemplate: "%{text}<extra></extra>",
    marker: { color: ink, symbol: marks, size: limit ? 7 : group.kind === "forced" ? 7 : 9, opacity: limit ? 0.6 : 0.95, line: { width: 1.2, color: ink } },
  };
}

function modelTraces(data, choices, colour) {
  const model = data.models.find((each) => each.name === choices.model);
  if (!model || choices.period || choices.quantity.startsWith("total")) return [];
  const flux = choices.quantity.endsWith("flux");
  return model.lines
    .filter((line) => !choices.hidden.has(line.band))
    .map((line) => ({
      type: "scatter",
      mode: "lines",
      name: `${model.name}, ${line.band}`,
      x: line.mjd,
      y: line.flux.map((value) => (flux ? value / choices.unit : value > 0 ? magnitude(value) : null)),
      line: { color: colour[line.band.toLowerCase()] ?? colour.other, width: 1.8 },
      hovertemplate: `${model.name}, ${line.band}: %{y:.4g}<extra></extra>`,
    }));
}

// The points set the range; of a model in magnitudes, the part far below them does not matter.
function yRange(drawn, choices) {
  let low = Infinity;
  let high = -Infinity;
  const detections = drawn.filter((trace) => trace.name.endsWith("detection"));
  for (const trace of detections.length ? detections : drawn) {
    trace.y.forEach((value, i) => {
      const error = Math.min(trace.error_y?.array[i] ?? 0, choices.quantity.endsWith("mag") ? 0.5 : Infinity);
      low = Math.min(low, value - error);
      high = Math.max(high, value + error);
    });
  }
  if (!choices.quantity.endsWith("mag")) {
    const rest = drawn.flatMap((trace) => trace.y).sort((a, b) => a - b);
    if (rest.length) {
      const most = rest[Math.floor(0.97 * (rest.length - 1))];
      low = Math.min(low, rest[Math.floor(0.03 * (rest.length - 1))], 0);
      high = Math.max(high, high > 0 ? Math.min(most, 2 * high) : most);
    }
  } else {
    const limits = drawn.filter((trace) => trace.name.endsWith("limit")).flatMap((trace) => trace.y).sort((a, b) => a - b);
    if (limits.length) high = Math.max(high, limits[Math.floor(0.95 * (limits.length - 1))]);
  }
  if (!(high >= low)) return undefined;
  const margin = 0.06 * Math.max(high - low, choices.quantity.endsWith("mag") ? 0.2 : 1e-6);
  return choices.quantity.endsWith("mag") ? [high + margin, low - margin] : [low - margin, high + margin];
}

function layout(data, drawn, choices, colour, height, width) {
  const named = { flux: "Difference flux", mag: "Difference magnitude (AB)", total_flux: "Total flux", total_mag: "Total magnitude (AB)" };
  const axis = { gridcolor: colour.line, zerolinecolor: colour.edge, linecolor: colour.edge, tickcolor: colour.edge, automargin: false, fixedrange: false };
  const chosen = data.light_curve.alert.indexOf(data.chosen);
  const at = chosen >= 0 && !choices.period ? data.light_curve.mjd[chosen] : null;
  return {
    height,
    autosize: true,
    margin: { l: 68, r: 12, t: 10, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour.soft },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: colour.card, bordercolor: colour.edge, font: { color: colour.ink }, align: "left" },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    uirevision: `${choices.quantity} ${choices.unit} ${choices.period}`,
    xaxis: { ...axis, title: { text: choices.period ? `Phase (period ${Number(choices.period.toPrecision(8))} d)` : "MJD (TAI)", standoff: 6, font: { size: 13 } }, range: choices.period ? [0, 2] : timeRange(data), zeroline: false, tickformat: choices.period ? "" : ".9~g", tickangle: 0, nticks: Math.max(Math.round(width / 100), 3) },
    yaxis: { ...axis, title: { text: named[choices.quantity] + (choices.quantity.endsWith("flux") ? ` (${choices.unitName})` : ""), standoff: 4, font: { size: 13 } }, range: yRange(drawn, choices), zeroline: choices.quantity.endsWith("flux"), exponentformat: "none", nticks: 6 },
    shapes: at === null ? [] : [{ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: colour.edge, width: 1, dash: "dot" } }],
  };
}

function timeRange(data) {
  const times = data.light_curve.mjd;
  const first = times.reduce((a, b) => Math.min(a, b), Infinity);
  const last = times.reduce((a, b) => Math.max(a, b), -Infinity);
  const margin = 0.03 * Math.max(last - first, 1);
  return [first - margin, last + margin];
}

// What the reader chose is kept for the next object.
function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`curve-${name}`);
    localStorage.setItem(`curve-${name}`, value);
  } catch {
    // a browser that keeps nothing begins with the usual choice
  }
  return null;
}

export function drawCurve(root, data, onChoose) {
  const box = root.querySelector("[data-curve]");
  const controls = root.querySelector("[data-curve-controls]");
  const fold = root.querySelector("[data-fold]");
  if (!box.querySelector("svg") || typeof Plotly === "undefined") return { update() {} };
  const detections = data.light_curve.mjd.filter((_, i) => data.light_curve.kind[i] === "detection");
  const start = detections.length ? detections[0] : 0;
  for (const name of ["quantity", "unit"]) {
    const before = kept(name);
    if (before && [...controls.elements[name].options].some((option) => option.value === before)) controls.elements[name].value = before;
  }
  controls.hidden = fold.hidden = false;
  const models = controls.elements.model.closest("label");
  models.hidden = data.models.length === 0;
  const height = Math.round(box.getBoundingClientRect().height);
  let shown = data;

  function choices() {
    const unit = controls.elements.unit;
    const period = Number(fold.elements.period.value);
    return {
      quantity: controls.elements.quantity.value,
      unit: Number(unit.value),
      unitName: unit.options[unit.selectedIndex].text,
      model: controls.elements.model.value,
      forced: root.querySelector('[data-kind="forced"]').checked,
      limit: root.querySelector('[data-kind="limit"]').checked,
      hidden: new Set([...root.querySelectorAll("[data-band]:not(:checked)")].map((each) => each.dataset.band)),
      period: period > 0 ? period : 0,
      start,
    };
  }

  function draw() {
    const now = choices();
    const colour = colours(box);
    controls.elements.unit.disabled = now.quantity.endsWith("mag");
    const points = traces(shown, now, colour);
    const config = { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" };
    return Plotly.react(box, [...modelTraces(shown, now, colour), ...points], layout(shown, points, now, colour, height, box.clientWidth), config);
  }

  box.replaceChildren();
  Promise.resolve(draw()).then(() => {
    box.on("plotly_click", (event) => {
      const alert = event.points.map((point) => point.customdata).find(Boolean);
      if (alert) onChoose(alert);
    });
    const drawn = box.querySelector(".main-svg");
    drawn?.setAttribute("role", "img");
    drawn?.setAttribute("aria-label", "Light curve; the table of alerts below holds the same values");
    box.dataset.drawn = "";
  });
  controls.addEventListener("change", (event) => {
    if (["quantity", "unit"].includes(event.target.name)) kept(event.target.name, event.target.value);
    draw();
  });
  for (const check of root.querySelectorAll("[data-band], [data-kind]")) {
    check.disabled = false;
    check.addEventListener("change", draw);
  }
  fold.addEventListener("input", draw);
  fold.addEventListener("submit", (event) => event.preventDefault());
  fold.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const field = fold.elements.period;
    if (button.dataset.period) field.value = button.dataset.period;
    if (button.dataset.times && Number(field.value)) field.value = Number(field.value) * Number(button.dataset.times);
    if (button.hasAttribute("data-unfold")) field.value = "";
    if (button.hasAttribute("data-reset")) {
      Plotly.relayout(box, { "xaxis.range": choices().period ? [0, 2] : timeRange(shown), "yaxis.range": yRange(traces(shown, choices(), colours(box)), choices()) });
      return;
    }
    draw();
  });
  document.addEventListener("themechange", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  return {
    update(next) {
      shown = next;
      const model = controls.elements.model;
      const before = model.value;
      model.replaceChildren(...[...next.models.map((each) => each.name), ""].map((name) => new Option(name || "none", name)));
      model.value = next.models.some((each) => each.name === before) ? before : (next.models[0]?.name ?? "");
      models.hidden = next.models.length === 0;
      draw();
    },
  };
}
