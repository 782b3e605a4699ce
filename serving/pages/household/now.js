// The cards of now: what flows, and today against the days before it.

import { moving, trace } from "../charts/moving.js";
import { make, say, tableBehind } from "../lib/dom.js";
import { age, capital, changeFrom } from "../lib/format.js";
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
  parts.behind = tableBehind("Hours as a table");
  parts.table.append(parts.behind.element);
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
  parts.compares.replaceChildren(...compares(use, text));
  parts.behind.show(label, hoursTable(label, hours, (figure) => text(figure?.usage) + (unmeasured(figure) ? ` (${figure.quality})` : "")));
}

// Full hours against those of other days until their clocks showed the same, so that a morning is not held against a day.
function compares(use, text) {
  const { today, yesterday, same_day_last_week: week } = use;
  // The sums come more rarely than what is now: after midnight they may still be those of the day before.
  const sums = use.so_far?.until.startsWith(today.date) ? use.so_far : {};
  const compared = (day, before, whole) => {
    const words = capital(changeFrom(sums.today, before, day) ?? day);
    const figures = [before == null ? null : `${text(before)} by ${sums.until.slice(11, 16)}`, whole];
    return make("p", {}, words, make("small", { class: "quiet", text: figures.filter(Boolean).join(", ") }));
  };
  const rows = [compared("yesterday", sums.yesterday, wholeDay(yesterday, text))];
  if (week) rows.push(compared(`last ${dateText(week.date, "weekday")}`, sums.same_day_last_week, wholeDay({ ...week, complete: true }, text)));
  return rows;
}

function wholeDay({ usage, complete }, text) {
  if (usage === null) return "not known";
  return `${text(usage)} ${complete ? "in all" : "as far as known"}`;
}
