// A region's page: its use now, its share of the country, and its usage by hour or day.

import { byId, say } from "../lib/dom.js";
import { share } from "../lib/format.js";
import { showFreshness, showNoTrouble, showTrouble, start } from "../lib/page.js";
import { poll } from "../lib/poll.js";
import { clock } from "../lib/times.js";
import { NAMES } from "../lib/units.js";
import { usageCard } from "../usage/card.js";
import { totals } from "./totals.js";

const AGAIN_MS = 5000;
const SLOW_MS = 300000;
const code = decodeURIComponent(location.pathname.split("/").pop());
const path = `/api/v1/regions/${encodeURIComponent(code)}`;
const usage = usageCard(byId("usage"), `${path}/usage`, { tabs: ["hour", "day"], yesterday: true });
const buttons = totals(byId("totals"), usage.utility, (utility) => usage.choose(utility));
let newest = null;
let country = null;

byId("code").textContent = code;
byId("usage").addEventListener("chosen", () => buttons.press(usage.utility));
addEventListener("online", usage.refresh);
setInterval(() => !document.hidden && usage.refresh(), SLOW_MS);
start();
poll(path, AGAIN_MS, show, fail);
poll("/api/v1/country", AGAIN_MS, (answer) => {
  country = answer.country;
  if (newest) showHeard();
}, () => {});
document.addEventListener("units", () => {
  usage.draw();
  if (newest) buttons.show(newest.utilities);
});

function show(answer) {
  newest = answer;
  showNoTrouble();
  byId("content").hidden = false;
  say(byId("name"), answer.name ?? code);
  document.title = `${answer.name ?? code} · Meterbeat`;
  buttons.show(answer.utilities);
  // Nights are UTC days: so are the region's, which may lie in several zones.
  usage.begin("UTC");
  showHeard();
}

function showHeard() {
  const uses = Object.entries(newest.utilities).filter(([, use]) => use);
  const stale = !uses.length || uses.every(([, use]) => use.stale);
  const parts = [uses.length ? `${stale ? "Stale since" : "Live, as of"} ${clock(uses[0][1].window_end, "UTC", true)} UTC` : "Nothing heard yet"];
  const shares = uses.filter(([utility]) => country?.[utility]?.rate).map(([utility, use]) => `${share(use.rate, country[utility].rate)} ${NAMES[utility].toLowerCase()}`);
  if (shares.length && !stale) parts.push(`of the country's use: ${shares.join(", ")}`);
  showFreshness(stale ? "stale" : "fresh", parts.join(" · "));
}

function fail(problem) {
  if (!newest) byId("content").hidden = true;
  showTrouble(problem, newest && `${clock(newest.as_of, "UTC", true)} UTC`);
}
