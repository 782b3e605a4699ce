// What a household should look at: a leak, an unusual base load, a meter that is silent.

import { make } from "../lib/dom.js";
import { capital } from "../lib/format.js";
import { clock, readable } from "../lib/times.js";
import { inUnits, NAMES } from "../lib/units.js";

const TITLES = {
  leak: "Water may be leaking",
  base_load: "Unusual base load",
  silent_meter: "A meter is silent",
  gap: "A silence was estimated",
  stuck: "A register stood still",
  zero: "Nothing was used",
  read: "Corrected by the utility's read",
};
const PAST = { leak: "Water did not rest", silent_meter: "A meter was silent" };

// Shows alerts that stand; those that have ended are listed behind them.
export function showAlerts(host, items, zone) {
  const open = items.filter((item) => !item.until);
  const past = items.filter((item) => item.until);
  host.hidden = !items.length;
  const parts = [make("h2", { class: "unseen", text: "Alerts" }), ...open.map((item) => banner(item, zone))];
  if (past.length) {
    parts.push(make("details", { class: "past", open: host.querySelector(".past")?.open },
      make("summary", { text: `${past.length} earlier ${past.length === 1 ? "alert" : "alerts"}` }),
      ...past.map((item) => banner(item, zone))));
  }
  // A screen reader is told of what is replaced here: alerts that are as they were stay.
  if (host.textContent !== parts.map((part) => part.textContent).join("")) host.replaceChildren(...parts);
}

function banner(item, zone) {
  const span = item.until ? `${clock(item.since, zone)} – ${clock(item.until, zone)}` : `since ${clock(item.since, zone)}`;
  return make("article", { class: `alert ${item.severity}` },
    make("h3", { text: titleOf(item) }),
    make("p", { text: inUnits(readable(item.message, zone), item.utility) }),
    make("p", { class: "when", text: `${NAMES[item.utility]} · ${span}` }));
}

function titleOf({ kind, utility, until }) {
  if (until && kind in PAST) return PAST[kind];
  if (kind === "leak" && utility !== "water") return `${NAMES[utility] ?? "A meter"} never rests`;
  return TITLES[kind] ?? capital(kind.replaceAll("_", " "));
}
