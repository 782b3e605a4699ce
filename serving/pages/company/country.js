// The country page: totals that choose the utility, the map, the ranking and the day's load.

import { byId, say } from "../lib/dom.js";
import { age, several } from "../lib/format.js";
import { follow } from "../lib/live.js";
import { choice, showFreshness, showNoTrouble, showTrouble, start } from "../lib/page.js";
import { poll } from "../lib/poll.js";
import { clock } from "../lib/times.js";
import { NAMES, quantityText } from "../lib/units.js";
import { loadCard } from "./load.js";
import { countryMap } from "./map.js";
import { mapRows, rankedRows, showRanking } from "./ranking.js";
import { totals } from "./totals.js";
import { yesterdays } from "./yesterday.js";

const AGAIN_MS = 60000;
const LOAD_MS = 60000;
const chosen = { utility: location.hash.slice(1) in NAMES ? location.hash.slice(1) : "electricity", by: "total" };
const buttons = totals(byId("totals"), chosen.utility, (utility) => {
  chosen.utility = utility;
  history.replaceState(null, "", `#${utility}`);
  draw();
});
const showMap = countryMap(byId("map"), (words) => say(byId("map-line"), words ?? restingWords()));
const loads = loadCard(byId("load"));
let newest = null;
let load = null;
const yesterdayOf = yesterdays();

byId("map-choice").append(choice("Shaded by", { total: "In all", meter: "By meter" }, chosen.by, (by) => {
  chosen.by = by;
  draw();
}));
start();
draw();
const askNow = poll("/api/v1/regions", AGAIN_MS, show, fail);
follow("/api/v1/regions/live", "state", show, askNow);
poll("/api/v1/country/load", LOAD_MS, (answer) => {
  load = answer;
  showLoad();
}, (problem) => load ?? loads.away(problem));
document.addEventListener("units", () => newest && show(newest));

function show(answer) {
  newest = answer;
  showNoTrouble();
  buttons.show(answer.country);
  draw();
  showHeard();
}

function draw() {
  document.querySelector(".country").className = `country ${chosen.utility}`;
  say(byId("map-title"), `${NAMES[chosen.utility]} by region`);
  say(byId("load-title"), `${NAMES[chosen.utility]} over the day`);
  if (load) showLoad();
  if (!newest) return;
  const rows = rankedRows(newest.regions, chosen);
  showMap(mapRows(rows, chosen.utility));
  showRanking(byId("ranking"), rows, chosen);
  const greatest = rows.find((row) => !row.use.stale);
  say(byId("ramp-most"), greatest ? `${quantityText(Math.round(greatest.value), greatest.use.rate_unit, chosen.utility)}` : "–");
  say(byId("map-line"), restingWords());
}

async function showLoad() {
  const [{ utility }, answer] = [chosen, load];
  const yesterday = await yesterdayOf(answer, utility);
  if (utility === chosen.utility && answer === load) loads.show(answer, utility, yesterday);
}

// Regions of few users are told together, so that no household shows.
function restingWords() {
  const hidden = newest?.hidden_regions ?? 0;
  return hidden ? `${several(hidden, "region")} of fewer than 15 users are told together, as others.` : "";
}

function showHeard() {
  const total = newest.country[chosen.utility];
  const rows = newest.regions.map((region) => region.utilities[chosen.utility]).filter(Boolean);
  const stale = total.rate === null || total.regions_stale > 0;
  let text = "No region has been heard of yet";
  if (rows.length && total.rate === null) text = `Every region is stale: the newest window ended ${age(Math.min(...rows.map((row) => row.age_s)))}`;
  else if (rows.length) {
    const left = total.regions_stale ? ` · ${total.regions_stale} stale, left out of the total` : "";
    text = `Live, as of ${clock(total.window_end, "UTC", true)} UTC · ${several(total.regions, "region")}${left}`;
  }
  showFreshness(stale ? "stale" : "fresh", text);
}

function fail(problem) {
  showTrouble(problem, newest && `${clock(newest.as_of, "UTC", true)} UTC`);
}
