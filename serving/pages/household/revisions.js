// Figures that were published and changed later: what they were, what they are, and why.

import { askAll } from "../lib/ask.js";
import { make } from "../lib/dom.js";
import { share } from "../lib/format.js";
import { addDays, clock, dateIn, dateText } from "../lib/times.js";
import { NAMES, quantityText } from "../lib/units.js";

const DAYS = 60;
const SHOWN = 12;

// Asks for the revisions of the last days of all utilities; returns them newest first, or null where that failed.
export async function askRevisions(path, zone) {
  const to = addDays(dateIn(zone), 1);
  const query = { from: addDays(to, -DAYS), to };
  const utilities = Object.keys(NAMES);
  const answers = await Promise.all(utilities.map((utility) => askAll(`${path}/${utility}/revisions`, query)));
  if (answers.some((answer) => !answer.ok)) return null;
  return answers
    .flatMap((answer, index) => answer.body.items.map((item) => ({ ...item, utility: utilities[index], unit: index ? "L" : "Wh" })))
    .sort((one, other) => (one.known_until < other.known_until ? 1 : -1));
}

export function showRevisions(host, items, zone) {
  const body = host.querySelector("[data-part=body]");
  if (!items) {
    body.replaceChildren(make("p", { class: "quiet small", text: "What was revised is not known at the moment." }));
    return;
  }
  if (!items.length) {
    body.replaceChildren(make("p", { class: "quiet small", text: `No published figure of the last ${DAYS} days has changed.` }));
    return;
  }
  const left = items.length - SHOWN;
  body.replaceChildren(
    make("ul", { class: "entries" }, ...items.slice(0, SHOWN).map((item) => revision(item, zone))),
    left > 0 ? make("p", { class: "quiet small", text: `and ${left} more` }) : "");
}

function revision(item, zone) {
  const text = (value) => quantityText(value, item.unit, item.utility);
  return make("li", { class: item.utility },
    make("span", {}, make("span", { class: "swatch" }), `${NAMES[item.utility]}, ${dateText(item.date)}`),
    make("span", {}, make("span", { class: "quiet" }, "was ", make("s", { text: text(item.usage) })), ` now ${text(item.usage_now)}`),
    make("small", { class: "quiet", text: `${difference(item)}: ${item.reason}, known since ${clock(item.known_until, zone)}` }));
}

function difference({ usage, usage_now: now, unit, utility }) {
  if (usage === null || now === null || usage === undefined || now === undefined) return "–";
  const sign = now > usage ? "+" : now < usage ? "−" : "±";
  return `${sign}${quantityText(Math.abs(now - usage), unit, utility)} (${share(Math.abs(now - usage), usage)})`;
}
