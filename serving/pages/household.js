// The household page: asks for the household every few seconds and draws its three utilities.

import { draw, pairs } from "/pages/bars.js";
import { age, clock, quantity, quantityText, scaleText } from "/pages/format.js";
import { poll } from "/pages/poll.js";

const NAMES = { electricity: "Electricity", gas: "Gas", water: "Water" };
const userId = decodeURIComponent(location.pathname.split("/").pop());
const byId = (id) => document.getElementById(id);
const sections = new Map();
let newest = null;

for (const _ of Object.keys(NAMES)) {
  const skeleton = document.createElement("div");
  skeleton.className = "skeleton";
  byId("utilities").append(skeleton);
}
byId("place").textContent = `User ${userId}`;
poll(`/api/v1/households/${encodeURIComponent(userId)}`, show, fail);
addEventListener("resize", () => newest && showUtilities(newest));

function show(answer) {
  newest = answer;
  byId("utilities").hidden = false;
  const { household } = answer;
  byId("main").setAttribute("aria-busy", "false");
  byId("trouble").hidden = true;
  byId("legend").hidden = false;
  byId("name").textContent = household.name ?? `Household ${answer.user_id}`;
  document.title = `${household.name ?? answer.user_id} · Meterbeat`;
  const kind = household.kind ? household.kind[0].toUpperCase() + household.kind.slice(1) : null;
  const place = household.region_name ?? household.region;
  byId("place").textContent = [kind, place, `user ${answer.user_id}`].filter(Boolean).join(" · ");
  showFreshness(answer);
  showUtilities(answer);
}

function showFreshness(answer) {
  const zone = answer.household.zone;
  const nows = Object.values(answer.utilities).map((utility) => utility.now).filter(Boolean);
  const sent = nows.map((now) => now.sent_at).sort().at(-1);
  const parts = [sent ? `${capital(answer.quality)}, as of ${clock(sent, zone)}` : "No live figure"];
  parts.push(answer.truth_until ? `truth until ${clock(answer.truth_until, zone, false)}` : "no night published yet");
  parts.push(`local time of ${zone.replaceAll("_", " ")}`);
  byId("freshness").textContent = parts.join(" · ");
  const away = Object.values(answer.sources).includes("away");
  const stale = !nows.length || nows.every((now) => now.stale);
  byId("freshness").dataset.state = away ? "away" : stale ? "stale" : "fresh";
}

// What all utilities have to note is noted once, for the household.
function showUtilities(answer) {
  const readable = (note) => note.replace(/\d{4}-\d\d-\d\dT[\d:]+([+-]\d\d:\d\d)?/g, (instant) => clock(instant, answer.household.zone, false));
  const notes = Object.entries(answer.utilities).map(([utility, use]) => [utility, use.notes.map(readable)]);
  const common = notes[0][1].filter((note) => notes.every(([, others]) => others.includes(note)));
  showNotes(byId("notes"), [...answer.notes.map(readable), ...common.map(starred)]);
  for (const [utility, own] of notes) {
    if (!sections.has(utility)) sections.set(utility, section(utility));
    const element = sections.get(utility);
    showUtility(element, utility, answer.utilities[utility], Date.parse(answer.as_of));
    showNotes(element.querySelector(".utility-notes"), own.filter((note) => !common.includes(note)).map(starred));
  }
}

function starred(note) {
  return `* ${note}`;
}

function section(utility) {
  if (!sections.size) byId("utilities").replaceChildren();
  const element = byId("utility").content.firstElementChild.cloneNode(true);
  element.classList.add(utility);
  element.querySelector("h2").textContent = NAMES[utility];
  byId("utilities").append(element);
  return element;
}

function showUtility(element, utility, use, now) {
  const set = (selector, text) => { element.querySelector(selector).textContent = text; };
  const text = (value) => quantityText(value, use.unit, utility);
  const mark = (value) => scaleText(value, use.unit, utility);
  const rate = quantity(use.now?.rate, use.rate_unit, utility);
  set(".now-figure", rate.figure);
  set(".now-unit", rate.unit);
  set(".now-note", use.now ? `${use.now.stale ? "silent, last heard" : "now, heard"} ${age(use.now.age_s)}` : "no live figure");
  element.toggleAttribute("data-stale", !use.now || use.now.stale);
  set(".today", text(use.today.usage) + (use.today.complete ? "" : " *"));
  set(".yesterday", text(use.yesterday.usage) + (use.yesterday.complete ? "" : " *"));
  const hours = pairs(use.today.hours, use.yesterday.hours);
  showPace(element, hours, text);
  const label = `${NAMES[utility]} by hour: today ${text(use.today.usage)} so far, yesterday ${text(use.yesterday.usage)}`;
  draw(element.querySelector(".chart"), hours, label, { text, mark }, now);
  showTable(element.querySelector("tbody"), hours, text);
}

// Compares full hours with the same hours of yesterday, so that a morning is not held against a day.
function showPace(element, hours, text) {
  const past = [];
  for (const hour of hours) {
    if (!hour.today.complete) break;
    past.push(hour);
  }
  const row = element.querySelector(".pace-row");
  const known = past.length > 0 && past.every((hour) => hour.yesterday?.usage != null);
  row.hidden = !known;
  if (!known) return;
  const sum = (day) => past.reduce((total, hour) => total + hour[day].usage, 0);
  const before = sum("yesterday");
  const change = before ? Math.round((sum("today") / before - 1) * 100) : null;
  const until = past.length < hours.length ? hours[past.length].clock : "24";
  const sign = change > 0 ? "+" : "−";
  row.querySelector(".pace-label").textContent = `Yesterday by ${until}:00: ${text(before)}`;
  row.querySelector(".pace").textContent = change ? `${sign}${Math.abs(change)} %` : change === 0 ? "the same" : "";
}

function showTable(body, hours, text) {
  body.replaceChildren(...hours.map((hour) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = `${hour.clock}:00`;
    row.append(head, ...[hour.today, hour.yesterday].map((side) => {
      const cell = document.createElement("td");
      cell.textContent = text(side?.usage);
      return cell;
    }));
    return row;
  }));
}

function showNotes(list, notes) {
  list.hidden = !notes.length;
  list.replaceChildren(...notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
}

function fail({ status, title, detail }) {
  byId("main").setAttribute("aria-busy", "false");
  byId("freshness").dataset.state = "away";
  if (newest) {
    const since = clock(newest.as_of, newest.household.zone);
    byId("freshness").textContent = `${title}. What you see is from ${since}.`;
    return;
  }
  byId("freshness").textContent = "";
  byId("utilities").hidden = status === 404 || status === 422;
  byId("trouble").hidden = false;
  byId("trouble-title").textContent = title;
  byId("trouble-detail").textContent = status === 503 || status === 0 ? `${detail} This page asks again by itself.` : detail;
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}
