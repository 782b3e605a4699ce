// The cards of now: what flows, and today against the days before it.

import { moving, trace } from "../charts/moving.js";
import { make, say } from "../lib/dom.js";
import { age, capital, change } from "../lib/format.js";
import { dateText } from "../lib/times.js";
import { NAMES, quantity, quantityText, therms } from "../lib/units.js";
import { hourOf, hoursTable, miniature, paired, unmeasured } from "../usage/days.js";

const STALE_S = 60;

// Returns { show(answer), hear(event), tick() }: an answer of the API, an event of live state, a second gone by.
export function nowCards(host) {
  const cards = Object.fromEntries(Object.keys(NAMES).map((utility) => [utility, card(utility)]));
  host.replaceChildren(...Object.values(cards).map((one) => one.element));
  const each = (work) => Object.entries(cards).forEach(([utility, one]) => work(one, utility));
  return {
    show: (answer) => each((one, utility) => one.show(answer.utilities[utility], Date.parse(answer.as_of))),
    hear: (event) => each((one, utility) => event.utilities[utility] && one.hear(event.utilities[utility])),
    tick: () => each((one) => one.tick()),
  };
}

function card(utility) {
  const parts = Object.fromEntries(["figure", "unit", "heard", "today", "todayNote", "compares", "day", "table"].map((name) => [name, make("span", { class: name })]));
  const line = trace();
  const element = make("section", { class: `card now ${utility}`, "aria-labelledby": `now-${utility}` },
    make("div", { class: "now-head" }, make("h2", { id: `now-${utility}`, text: NAMES[utility] }), parts.heard),
    make("div", { class: "now-body" }, make("p", { class: "big" }, parts.figure, " ", parts.unit), line.element),
    make("p", { class: "today-line" }, make("span", { class: "quiet", text: "Today " }), parts.today, parts.todayNote),
    parts.day, parts.compares, parts.table);
  let use = null;
  let newest = null;
  let told = 0;

  const setRate = moving((value) => {
    const { figure, unit } = quantity(value, use?.rate_unit ?? "W", utility);
    say(parts.figure, figure);
    say(parts.unit, unit);
  });
  const setToday = moving((value) => say(parts.today, quantityText(value, use.unit, utility)));

  // What the dial has counted since the API answered is today's too.
  function showToday() {
    const usage = use.today.usage;
    const more = use.now && newest ? newest.register - use.now.register : 0;
    setToday(usage === null ? null : usage + Math.max(0, more));
    const estimated = use.today.usage_estimated ? `${quantityText(use.today.usage_estimated, use.unit, utility)} not measured` : null;
    say(parts.todayNote, [utility === "gas" ? therms(usage) : null, usage === null || use.today.complete ? null : "so far as known", estimated].filter(Boolean).join(" · "));
  }

  function hear(now) {
    if (newest && now.sent_at < newest.sent_at) return;
    newest = now;
    told = performance.now();
    setRate(now.rate);
    line.add(Date.parse(now.sent_at), now.rate);
    if (use) showToday();
    tick();
  }

  function tick() {
    const seconds = newest && newest.age_s + Math.round((performance.now() - told) / 1000);
    const stale = !newest || seconds > STALE_S;
    element.toggleAttribute("data-stale", stale);
    say(parts.heard, !newest ? "no live figure" : stale ? `silent, last heard ${age(seconds)}` : `heard ${age(seconds)}`);
  }

  function show(answer, at) {
    use = answer;
    if (use.now) hear(use.now);
    else if (!newest) setRate(null);
    showToday();
    showDay(parts, use, utility, at);
    tick();
  }

  return { element, show, hear, tick };
}

function showDay(parts, use, utility, at) {
  const text = (value) => quantityText(value, use.unit, utility);
  const hours = paired(use.today.hours, use.yesterday.hours, hourOf);
  const label = `${NAMES[utility]} by hour: today ${text(use.today.usage)}, yesterday ${text(use.yesterday.usage)}`;
  const feet = make("div", { class: "feet", "aria-hidden": "true" }, ...["00", "06", "12", "18", "24"].map((foot) => make("span", { text: foot })));
  parts.day.replaceChildren(miniature(hours, label, at), feet);
  parts.compares.replaceChildren(...compares(use, hours, text));
  // A table that somebody reads stays where it is.
  if (parts.table.querySelector("details")?.open) return;
  parts.table.replaceChildren(hoursTable(label, hours, (figure) => text(figure?.usage) + (unmeasured(figure) ? ` (${figure.quality})` : "")));
}

// Full hours against the same hours of other days, so that a morning is not held against a day.
function compares(use, hours, text) {
  const running = hours.findIndex(({ one }) => !one.complete);
  const past = running < 0 ? hours : hours.slice(0, running);
  const until = running > 0 ? `${hourOf(hours[running].one)}:00` : null;
  const sum = (side) => (past.length && past.every((hour) => hour[side]?.usage != null) ? past.reduce((total, hour) => total + hour[side].usage, 0) : null);
  const [today, yesterday, week] = [sum("one"), sum("other"), use.same_day_last_week];
  const rows = [compared("yesterday", yesterday, use.yesterday.usage, today, until, text)];
  if (week) rows.push(compared(`last ${dateText(week.date, "weekday")}`, week.until_same_hour, week.usage, today, until, text));
  return rows;
}

function compared(day, before, whole, today, until, text) {
  const told = change(today, before);
  const words = capital(told ? `${told} ${told === "the same" ? "as" : "than"} ${day}` : day);
  const figures = [until && before !== null ? `${text(before)} by ${until}` : null, whole === null ? "not known" : `${text(whole)} in all`];
  return make("p", {}, words, make("small", { class: "quiet", text: figures.filter(Boolean).join(", ") }));
}
