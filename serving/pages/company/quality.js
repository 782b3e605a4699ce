// Data quality of a night: how much of it is estimated, what validation found, who was right, and what changed.

import { address, ask } from "../lib/ask.js";
import { byId, make, scrollable, table } from "../lib/dom.js";
import { capital, compact, count, share } from "../lib/format.js";
import { showFreshness, showNoTrouble, showTrouble, start } from "../lib/page.js";
import { clock, dateText } from "../lib/times.js";
import { NAMES, quantityText } from "../lib/units.js";

const NIGHTS = 60;
const AGAIN_MS = 300000;
// What each rule of validation means, in a few words.
const RULES = {
  gap: "silent for longer than short losses explain",
  spike: "registers that leave their course and come back",
  negative: "a register fell, and nothing explains it",
  stuck: "the register stands still while a flow is reported",
  rate: "more than the connection can carry",
  zero: "nothing used for half a day where somebody lives",
  leak: "water that never rests",
  read: "not what the utility read itself",
  clock: "heartbeats by another clock",
  rollover: "the dial passed its maximum: an event",
  reset: "the register began again at 0: an event",
  exchange: "the meter was replaced: an event",
};
const WINNERS = { billing: "the utility's read", validated: "the meter, validated", estimated: "an estimate" };
const UNITS = { electricity: "Wh", gas: "L", water: "L" };
let newest = null;
let night = new URLSearchParams(location.search).get("night"); // null: the newest, whichever that is

const picker = make("select", { id: "night", "aria-label": "Night", hidden: true });
picker.addEventListener("change", () => {
  night = picker.selectedIndex ? picker.value : null;
  load();
});
byId("choices").append(make("label", { for: "night", class: "quiet", text: "Night" }), picker);
start();
again();
setInterval(() => !document.hidden && again(), AGAIN_MS);
addEventListener("online", again);
document.addEventListener("units", () => newest && show(newest));

// A night more is published each night, and an older one may be told anew.
function again() {
  load();
  listNights();
}

async function listNights() {
  const { ok, body } = await ask(address("/api/v1/quality/nights", { limit: NIGHTS }));
  if (!ok) return;
  const nights = body.items.map((item) => item.night);
  picker.replaceChildren(...nights.map((one) => make("option", { value: one, text: dateText(one, "date") })));
  picker.hidden = !nights.length;
  if (newest) picker.value = newest.night;
}

async function load() {
  const asked = night;
  const { ok, status, body } = await ask(address("/api/v1/quality", { night: asked || null }));
  if (asked !== night) return;
  if (ok) show(body);
  else {
    byId("content").hidden = !newest;
    showTrouble({ status, ...body }, newest && `the night of ${dateText(newest.night, "date")}`);
  }
}

function show(answer) {
  newest = answer;
  showNoTrouble();
  byId("content").hidden = false;
  picker.value = answer.night;
  showFreshness("fresh", `Night of ${dateText(answer.night, "long")} (UTC) · published ${clock(answer.published_at, "UTC")} UTC`);
  byId("tiles").replaceChildren(
    tile("Users", count(answer.users), `${compact(answer.heartbeats)} heartbeats counted`),
    ...Object.keys(NAMES).map((utility) => estimatedTile(answer, utility)));
  byId("findings").replaceChildren(findings(answer.findings, answer.users));
  byId("reconciled").replaceChildren(reconciled(answer.reconciliation));
  byId("revised").replaceChildren(revised(answer.revised));
  byId("checksum").textContent = answer.checksum ? `Checksum of the night's rows: ${answer.checksum}` : "";
}

function tile(name, figure, note) {
  return make("section", { class: "card" }, make("p", { class: "name", text: name }), make("p", { class: "big", text: figure }), make("p", { class: "note", text: note }));
}

function estimatedTile(answer, utility) {
  const text = (value) => quantityText(value, UNITS[utility], utility);
  const [usage, estimated] = [answer.usage[utility], answer.usage_estimated[utility]];
  const note = estimated === null ? "estimated for fewer than 15 users" : `${share(estimated, usage)} estimated: ${text(estimated)}`;
  const made = tile(NAMES[utility], text(usage), usage === null ? "of fewer than 15 users" : note);
  made.classList.add(utility);
  made.querySelector(".name").prepend(make("span", { class: "swatch" }));
  return made;
}

function findings(items, users) {
  if (!items.length) return nothing("Nothing was found: every register followed from the one before.");
  const most = Math.max(...items.map((item) => item.count), 1);
  const sorted = [...items].sort((one, other) => other.count - one.count);
  const bar = (item) => {
    const fill = make("span", { class: "bar-fill" });
    fill.style.width = `${(100 * item.count) / most}%`;
    return make("span", { class: "bar-track" }, fill);
  };
  const rows = sorted.map((item) => [named(item.rule), bar(item), count(item.count), count(item.users), share(item.users, users)]);
  const made = table("Findings by rule", ["Rule", make("span", { class: "unseen", text: "Share of the greatest" }), "Findings", "Users", "Of all"], rows, { class: "ranking findings" });
  made.querySelectorAll("td:nth-child(2)").forEach((cell) => cell.classList.add("bar"));
  return scrollable("Findings by rule", made);
}

function reconciled(items) {
  if (!items.length) return nothing("All answers were one.");
  const rows = items.map((item) => [
    `${NAMES[item.utility]}: ${WINNERS[item.winner] ?? item.winner}`, words(item.reason), count(item.users),
    quantityText(item.difference_total, UNITS[item.utility], item.utility)]);
  return scrollable("Reconciliation", table("Reconciliation", ["Who was right", "Reason", "Users", "Apart by"], rows, { class: "listed", words: [1] }));
}

function revised(items) {
  if (!items.length) return nothing("No published figure was replaced.");
  const rows = items.map((item) => [words(item.reason), count(item.rows), count(item.nights)]);
  return scrollable("Revised rows", table("Revised rows by reason", ["Why", "Rows", "Nights"], rows));
}

function named(rule) {
  return make("span", {}, words(rule), make("small", { class: "quiet meaning", text: RULES[rule] ?? "" }));
}

function nothing(text) {
  return make("p", { class: "quiet small", text });
}

function words(name) {
  return capital(String(name).replaceAll("_", " "));
}
