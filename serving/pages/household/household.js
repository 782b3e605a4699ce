// The household page: what it asks for, how often, and which card shows it.

import { ask } from "../lib/ask.js";
import { byId } from "../lib/dom.js";
import { capital } from "../lib/format.js";
import { follow } from "../lib/live.js";
import { showFreshness, showNotes, showNoTrouble, showTrouble, start } from "../lib/page.js";
import { poll } from "../lib/poll.js";
import { clock, zoneText } from "../lib/times.js";
import { usageCard } from "../usage/card.js";
import { showAlerts } from "./alerts.js";
import { showCosts } from "./costs.js";
import { invoiceCard } from "./invoices.js";
import { nowCards } from "./now.js";
import { askRevisions, showRevisions } from "./revisions.js";

const AGAIN_MS = 30000;
const SLOW_MS = 300000;
const FOR_GOOD = new Set([401, 403, 404, 422]);
const userId = decodeURIComponent(location.pathname.split("/").pop());
const path = `/api/v1/households/${encodeURIComponent(userId)}`;
const cards = nowCards(byId("now"));
const usage = usageCard(byId("usage"), `${path}/usage`, { exports: `${path}/export` });
const invoices = invoiceCard(byId("invoices"), `${path}/invoices`);
let newest = null;
let summary = null;
let alerts = [];
let revisions = null;

byId("place").textContent = `User ${userId}`;
start();
const askNow = poll(path, AGAIN_MS, show, fail);
setInterval(() => newest && cards.tick(), 1000);
setInterval(() => newest && !document.hidden && slowly(), SLOW_MS);
addEventListener("online", () => newest && slowly());
document.addEventListener("units", drawAll);

function show(answer) {
  const first = !newest;
  newest = summarised(answer);
  showNoTrouble();
  byId("content").hidden = false;
  showHead(answer);
  showFigures();
  usage.begin(answer.household.zone);
  if (first) {
    slowly();
    follow(`${path}/live`, "state", hear, askNow);
  } else usage.refresh();
}

// An event of live state: the newest figures of the meters.
function hear(event) {
  cards.hear(event);
  newest = { ...newest, as_of: event.as_of };
  showHeard(newest, Object.values(event.utilities));
}

function showHead(answer) {
  const { household } = answer;
  byId("name").textContent = household.name ?? `Household ${answer.user_id}`;
  document.title = `${household.name ?? answer.user_id} · Meterbeat`;
  const place = household.region_name ?? household.region;
  byId("place").textContent = [capital(household.kind), place, `user ${answer.user_id}`].filter(Boolean).join(" · ");
  showHeard(answer, Object.values(answer.utilities).map((use) => use.now).filter(Boolean));
  showNotes(notesOf(answer), household.zone);
}

function showHeard(answer, nows) {
  const { zone } = answer.household;
  const stale = !nows.length || nows.every((now) => now.stale);
  const away = Object.values(answer.sources).includes("away");
  const sent = nows.map((now) => now.sent_at).sort().at(-1);
  const parts = [sent ? `${stale ? "Last heard" : "Live, newest heartbeat"} ${clock(sent, zone)}` : "No live figure"];
  parts.push(answer.truth_until ? `validated until ${clock(answer.truth_until, zone)}` : "no night published yet");
  parts.push(zoneText(zone));
  showFreshness(away ? "away" : stale ? "stale" : "fresh", parts.join(" · "));
}

// What all utilities have to note is noted once, for the household.
function notesOf(answer) {
  const of = Object.entries(answer.utilities).map(([utility, use]) => [utility, use.notes]);
  const common = of[0][1].filter((note) => of.every(([, notes]) => notes.includes(note)));
  const own = of.flatMap(([utility, notes]) => notes.filter((note) => !common.includes(note)).map((note) => `${capital(utility)}: ${note}`));
  return [...answer.notes, ...common, ...own];
}

// The month and last week's same day come by an answer of their own.
function summarised(answer) {
  const utilities = Object.entries(answer.utilities).map(([utility, use]) => [utility, { ...use, ...summary?.utilities[utility] }]);
  return { ...answer, utilities: Object.fromEntries(utilities) };
}

function showFigures() {
  cards.show(newest);
  showCosts(byId("costs"), newest);
}

// What changes with an hour, a night or an alert is asked for less often. What is not answered stays as it is shown.
async function slowly() {
  const { zone } = newest.household;
  const [sums, told, changed] = await Promise.all([ask(`${path}/summary`), ask(`${path}/alerts`), askRevisions(`${path}/usage`, zone), invoices.refresh(zone)]);
  if (sums.ok) summary = sums.body;
  newest = summarised(newest);
  showFigures();
  if (told.ok) alerts = told.body.items;
  revisions = changed ?? revisions;
  showAlerts(byId("alerts"), alerts, zone);
  showRevisions(byId("revisions"), revisions, zone);
}

function drawAll() {
  usage.draw();
  if (!newest) return;
  showFigures();
  showAlerts(byId("alerts"), alerts, newest.household.zone);
  showRevisions(byId("revisions"), revisions, newest.household.zone);
  invoices.draw();
}

function fail(problem) {
  if (!newest && FOR_GOOD.has(problem.status)) byId("content").hidden = true;
  showTrouble(problem, newest && clock(newest.as_of, newest.household.zone, true));
}
