// The country page: totals that choose the utility, the map of squares and the ranking.

import { age, count, quantity, quantityText, tileText } from "/pages/format.js";
import { poll } from "/pages/poll.js";
import { TILES } from "/pages/tiles.js";

const NAMES = { electricity: "Electricity", gas: "Gas", water: "Water" };
const byId = (id) => document.getElementById(id);
let newest = null;
let chosen = location.hash.slice(1) in NAMES ? location.hash.slice(1) : "electricity";

const buttons = Object.keys(NAMES).map((utility) => {
  const button = element("button", `total ${utility}`);
  button.type = "button";
  button.append(element("b", "", NAMES[utility]), element("span", "big", "–"), " ", element("span", "quiet unit"), element("small", "meters"));
  button.addEventListener("click", () => {
    chosen = utility;
    history.replaceState(null, "", `#${utility}`);
    showChoice();
  });
  return button;
});
byId("totals").append(...buttons);
byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = `/household/${encodeURIComponent(byId("user-id").value)}`;
});
showChoice();
poll("/api/v1/regions", show, fail);

function show(answer) {
  newest = answer;
  byId("main").setAttribute("aria-busy", "false");
  byId("trouble").hidden = true;
  Object.keys(NAMES).forEach((utility, index) => showTotal(buttons[index], utility, answer.country[utility]));
  showChoice();
}

function showTotal(button, utility, total) {
  const { figure, unit } = quantity(total.rate, total.rate_unit, utility);
  button.querySelector(".big").textContent = figure;
  button.querySelector(".unit").textContent = unit;
  button.querySelector(".meters").textContent = total.rate === null ? "no recent window" : `${count(total.active_meters)} meters active, ${count(total.silent_meters)} silent`;
}

function showChoice() {
  Object.keys(NAMES).forEach((utility, index) => buttons[index].setAttribute("aria-pressed", utility === chosen));
  document.querySelector(".country").className = `country ${chosen}`;
  byId("map-title").textContent = `${NAMES[chosen]} by region`;
  const rows = newest ? regionRows() : [];
  const greatest = Math.max(0, ...rows.filter((row) => !row.use.stale).map((row) => row.use.rate));
  showMap(rows, greatest);
  showRanking(rows, greatest);
  if (newest) showAsOf(rows);
}

function regionRows() {
  return newest.regions
    .filter((region) => region.utilities[chosen])
    .map((region) => ({ code: region.region, short: region.region.split("-").pop(), name: region.name, use: region.utilities[chosen] }))
    .sort((one, other) => one.use.stale - other.use.stale || other.use.rate - one.use.rate);
}

function showAsOf(rows) {
  const total = newest.country[chosen];
  const line = byId("as-of");
  const time = (instant) => new Date(instant).toLocaleTimeString("en", { hourCycle: "h23" });
  if (!rows.length) line.textContent = "No region has been heard of yet";
  else if (total.rate === null) line.textContent = `Every region is stale: newest window ended ${age(Math.min(...rows.map((row) => row.use.age_s)))}`;
  else {
    const stale = total.regions_stale ? ` · ${total.regions_stale} stale, left out of the total` : "";
    line.textContent = `Measured, as of ${time(total.window_end)} your time · ${total.regions} regions${stale}`;
  }
  line.dataset.state = total.rate === null || total.regions_stale ? "stale" : "fresh";
}

// Shares are shown by their square root: people are so unevenly spread that most squares would be pale.
function showMap(rows, greatest) {
  const known = new Map(rows.map((row) => [row.short, row]));
  byId("map").replaceChildren(...Object.entries(TILES).map(([short, [column, line]]) => {
    const row = known.get(short);
    const share = row && greatest ? Math.sqrt(row.use.rate / greatest) : 0;
    const state = !row ? "none" : row.use.stale ? "stale" : share > 0.85 ? "deep full" : share > 0.55 ? "deep" : "";
    const tile = element("div", `tile ${state}`, short);
    tile.style.gridColumn = column + 1;
    tile.style.gridRow = line + 1;
    tile.style.setProperty("--share", `${Math.round(8 + 92 * share)}%`);
    if (row) {
      const rate = quantityText(row.use.rate, row.use.rate_unit, chosen);
      tile.append(element("small", "", tileText(row.use.rate, row.use.rate_unit)));
      tile.title = `${row.name}: ${rate}, ${count(row.use.active_meters)} active meters, ${count(row.use.silent_meters)} silent${row.use.stale ? `, stale: ${age(row.use.age_s)}` : ""}`;
    } else tile.title = `${short}: nothing heard`;
    return tile;
  }));
  const most = rows[0] ? quantityText(greatest, rows[0].use.rate_unit, chosen) : "–";
  byId("scale").replaceChildren(element("span", "", "0"), element("span", "ramp"), element("span", "", most), element("span", "", `${chosen === "electricity" ? "" : "squares in m³/h · "}hatched: nothing heard or stale`));
  byId("map").setAttribute("aria-label", `${NAMES[chosen]} now by region, greatest ${most}; the ranking holds the figures`);
}

function showRanking(rows, greatest) {
  byId("ranking").tBodies[0].replaceChildren(...rows.map((row) => {
    const line = element("tr", row.use.stale ? "stale" : "");
    const fill = element("span", "bar-fill");
    fill.style.width = row.use.stale || !greatest ? "0" : `${(100 * row.use.rate) / greatest}%`;
    const track = element("span", "bar-track");
    track.append(fill);
    const bar = element("td");
    bar.append(track);
    const now = row.use.stale ? "stale" : quantityText(row.use.rate, row.use.rate_unit, chosen);
    if (row.use.stale) line.title = `newest window ended ${age(row.use.age_s)}`;
    line.append(element("td", "", row.name), bar, element("td", "", now), element("td", "", count(row.use.active_meters)), element("td", "", count(row.use.silent_meters)));
    return line;
  }));
}

function fail({ title, detail }) {
  byId("main").setAttribute("aria-busy", "false");
  byId("as-of").dataset.state = "away";
  if (newest) {
    byId("as-of").textContent = `${title}. What you see is from ${new Date(newest.as_of).toLocaleTimeString("en", { hourCycle: "h23" })}.`;
    return;
  }
  byId("as-of").textContent = "";
  byId("trouble").hidden = false;
  byId("trouble-title").textContent = title;
  byId("trouble-detail").textContent = `${detail} This page asks again by itself.`;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
