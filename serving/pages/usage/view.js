// A period's usage as bars, as words and as a table; its money, its quality and what was revised.

import { barChart } from "../charts/bars.js";
import { make, table, tableBehind } from "../lib/dom.js";
import { capital, changeFrom, count, money, several } from "../lib/format.js";
import { clock, dateText, readable } from "../lib/times.js";
import { inScale, NAMES, quantityText, scaleOf, therms } from "../lib/units.js";
import { hourNames, paired, unmeasured } from "./days.js";
import { comparedTitle, nameOf, padded, tickOf, titleOf } from "./period.js";
import { pricedOf } from "./priced.js";

const MICRO = 1e6; // a sum is of exact costs: an hour's, rounded, may be nothing at all

// Returns show(newest): the answer of a period, and that of the one it is compared with.
export function usageView(chart, below) {
  const line = make("p", { class: "readout" });
  const plot = make("div", { class: "chart" });
  const words = make("div");
  const behind = tableBehind("As a table");
  chart.append(line, plot);
  below.append(make("div", { class: "usage-words" }, words, behind.element));
  const draw = barChart(plot, line);

  function show({ answer, before, period, other, utility, zone }) {
    if (!answer.ok) {
      plot.hidden = true;
      draw([], { size: 1, name: "" }, `${NAMES[utility]}: no answer`, answer.body.detail ?? answer.body.title);
      words.replaceChildren();
      behind.element.hidden = true;
      return;
    }
    const { unit, currency } = answer.body;
    const items = padded(answer.body.items, period);
    const others = before?.ok ? before.body.items : [];
    const now = Date.parse(answer.body.as_of ?? new Date());
    const pairs = paired(items, others, nameOf(period.by));
    const names = slotNames(period.by, items);
    const told = { unit, utility, currency, names, other, now };
    const slots = pairs.map((pair, index) => slotOf(pair, names[index], period.by, told));
    const greatest = Math.max(0, ...slots.flatMap((slot) => [Math.abs(slot.value ?? 0), Math.abs(slot.ghost ?? 0)]));
    const total = totals(pairs, told);
    plot.hidden = !pairs.some(({ one, other: past }) => one.usage !== null || past?.usage != null);
    const caption = `${NAMES[utility]}, ${titleOf(period)}`;
    draw(slots, scaleOf(greatest, unit, utility), `${caption}, by ${period.by}`, total);
    words.replaceChildren(...remarks(answer.body, items, told, period, zone));
    behind.show(caption, listed(caption, pairs, told, period, zone));
  }

  return { show };
}

function slotNames(by, items) {
  if (by === "hour") return hourNames(items);
  return items.map((item) => dateText(item.from.slice(0, 10), by === "day" ? "day" : "month"));
}

function slotOf({ one, other }, name, by, told) {
  const text = (value) => quantityText(value, told.unit, told.utility);
  const against = told.other ? ` · ${comparedTitle(told.other)}: ${text(other?.usage)}` : "";
  const cost = one.cost === null || one.cost === undefined ? "" : `, ${money(one.cost, told.currency)}`;
  const quality = unmeasured(one) ? ` (${one.quality})` : "";
  return {
    tick: tickOf(by, one),
    text: `${name}: ${text(one.usage)}${quality}${cost}${against}`,
    value: one.usage,
    ghost: other?.usage ?? null,
    hatched: unmeasured(one),
    ghostHatched: unmeasured(other),
    running: !one.ahead && Date.parse(one.to) > told.now,
  };
}

// The sum of what is known, its money, and how it stands to the same slots of the other period.
function totals(pairs, { unit, utility, currency, other, now }) {
  const known = pairs.filter(({ one }) => one.usage !== null);
  if (!known.length) return "Nothing is known of this time.";
  const sum = (list, of) => list.reduce((total, pair) => total + of(pair), 0);
  const usage = sum(known, ({ one }) => one.usage);
  const priced = known.filter(({ one }) => one.cost_micro !== null && one.cost_micro !== undefined);
  const words = [quantityText(usage, unit, utility), therms(utility === "gas" ? usage : null)];
  if (priced.length) words.push(money(sum(priced, ({ one }) => one.cost_micro) / MICRO, currency) + pricedOf(known.map(({ one }) => one)));
  // A month of three days is no measure for a whole one: both sides are known in full.
  const both = known.filter((pair) => Date.parse(pair.one.to) <= now && full(pair.one) && full(pair.other));
  const told = other && both.length ? changeFrom(sum(both, ({ one }) => one.usage), sum(both, (pair) => pair.other.usage), comparedTitle(other)) : null;
  if (told) words.push(`${told}${both.length < pairs.length ? " in the same time" : ""}`);
  return words.filter(Boolean).join(" · ");
}

function full(figure) {
  return figure?.usage != null && figure.complete !== false;
}

// How the figures are known: what is not measured, what is not validated yet, what was revised.
function remarks(answer, items, { unit, utility }, period, zone) {
  const said = (answer.notes ?? []).map((note) => capital(readable(note, zone)));
  const doubtful = items.filter(unmeasured);
  if (doubtful.length) {
    const estimated = items.reduce((total, item) => total + (item.usage_estimated ?? 0), 0);
    const kinds = [...new Set(doubtful.map((item) => (item.quality === "mixed" ? "partly estimated" : item.quality)))].join(", ");
    said.push(`${several(doubtful.length, period.by)} of ${items.length} not wholly measured (${kinds}): ${quantityText(estimated, unit, utility)}. Hatched in the chart.`);
  }
  if (answer.truth_until && items.some((item) => !item.ahead && Date.parse(item.to) > Date.parse(answer.truth_until) && item.usage !== null)) {
    said.push(`After ${clock(answer.truth_until, zone)} figures are live: the next night validates and prices them.`);
  }
  const revised = items.filter((item) => item.revised_at);
  if (revised.length) said.push(`${several(revised.length, period.by)} revised; below is what was published before, and why.`);
  return said.map((text) => make("p", { class: "quiet remark", text }));
}

// A table of what the items tell: a region's have users and no money.
function listed(caption, pairs, { unit, utility, currency, names, other }, period, zone) {
  const scale = scaleOf(Math.max(0, ...pairs.map(({ one }) => one.usage ?? 0)), unit, utility);
  const tells = (key) => pairs.some(({ one }) => !one.ahead && key in one);
  const counted = (key) => pairs.some(({ one }) => Number.isFinite(one[key]));
  const columns = [
    [{ hour: "Hour", day: "Day", month: "Month" }[period.by], (pair, index) => names[index]],
    [`Usage, ${scale.name}`, ({ one }) => inScale(one.usage, scale)],
    other && [comparedTitle(other), (pair) => inScale(pair.other?.usage, scale)],
    tells("cost") && ["Cost", ({ one }) => money(one.cost, currency)],
    tells("users") && ["Users", ({ one }) => count(one.users)],
    counted("users_estimated") && ["Users with estimates", ({ one }) => count(one.users_estimated)],
    tells("users") && counted("usage_estimated") && [`Not measured, ${scale.name}`, ({ one }) => inScale(one.usage_estimated, scale)],
    tells("quality") && ["How it is known", ({ one }) => knownHow(one, zone)],
  ].filter(Boolean);
  const rows = pairs.map((pair, index) => columns.map(([, text]) => text(pair, index)));
  return table(caption, columns.map(([head]) => head), rows, { class: "listed", words: tells("quality") ? [columns.length - 1] : [] });
}

function knownHow(one, zone) {
  const revised = one.revised_at ? `revised ${clock(one.revised_at, zone)}: ${one.revised_reason}` : null;
  const gap = one.usage !== null && one.complete === false ? "incomplete" : null;
  return [one.quality ?? "–", gap, revised].filter(Boolean).join(", ");
}
