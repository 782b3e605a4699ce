// Which dates a view of hours, days or months shows, and which it is compared with. Dates are local, to is exclusive.

import { addDays, addMonths, dateText } from "../lib/times.js";

export const TABS = { hour: "Hours", day: "Days", month: "Months" };
const MONTHS = 12;

// The period of a view that holds a date: a day of hours, a month of days, or twelve months up to the date's.
export function periodAt(by, date) {
  if (by === "hour") return { by, from: date, to: addDays(date, 1) };
  if (by === "day") return { by, from: addMonths(date, 0), to: addMonths(date, 1) };
  return { by, from: addMonths(date, 1 - MONTHS), to: addMonths(date, 1) };
}

// The date to ask for to see the period before (-1) or after (1) the one that holds a date.
export function stepped(by, date, steps) {
  if (by === "hour") return addDays(date, steps);
  return addMonths(date, by === "day" ? steps : steps * MONTHS);
}

export function titleOf({ by, from, to }) {
  if (by === "hour") return dateText(from, "long");
  return by === "day" ? dateText(from, "month") : `${dateText(from, "month")} – ${dateText(addDays(to, -1), "month")}`;
}

const BEFORE = { hour: "The day before", day: "The month before", month: "The year before" };

// What a view can be compared with, by key.
export function comparisons(by) {
  const all = { none: "Nothing", before: BEFORE[by] };
  if (by === "hour") all.week = "Same weekday a week before";
  if (by !== "month") all.year = by === "hour" ? "Same weekday a year before" : "Same month a year before";
  return all;
}

// The period that a comparison means, null for none. A year before keeps the weekday: 52 weeks.
export function comparedTo(period, kind) {
  if (kind === "none" || !(kind in comparisons(period.by))) return null;
  if (period.by === "hour") return periodAt("hour", addDays(period.from, { before: -1, week: -7, year: -364 }[kind]));
  if (period.by === "day") return periodAt("day", addMonths(period.from, kind === "year" ? -12 : -1));
  return periodAt("month", addMonths(addDays(period.to, -1), -MONTHS));
}

// What a slot is called in its view, so that it finds its counterpart: an hour of the clock, a day of the month, a month.
export function nameOf(by) {
  const [start, end] = { hour: [11, 13], day: [8, 10], month: [5, 7] }[by];
  return (slot) => slot.from.slice(start, end);
}

// Where the comparison is shown in words.
export function comparedTitle(period) {
  return period.by === "hour" ? dateText(period.from) : titleOf(period);
}

// A slot's place below the chart; null where nothing is written.
export function tickOf(by, slot) {
  if (by === "hour") return Number(slot.from.slice(11, 13)) % 3 ? null : slot.from.slice(11, 13);
  if (by === "day") return String(Number(slot.from.slice(8, 10)));
  return dateText(slot.from.slice(0, 10), "shortMonth");
}

const AHEAD = { usage: null, complete: false, quality: null, usage_estimated: null, cost: null, ahead: true };

// A period's items and, after them, what is still to come of a day of hours or a month of days: the API leaves it out.
export function padded(items, { by, from, to }) {
  if (by === "month" || !items.length) return items;
  const last = items.at(-1).from;
  const ahead = [];
  if (by === "hour") {
    for (let hour = Number(last.slice(11, 13)) + 1; hour < 24; hour += 1) ahead.push(`${from}T${String(hour).padStart(2, "0")}:00`);
  } else for (let date = addDays(last.slice(0, 10), 1); date < to; date = addDays(date, 1)) ahead.push(`${date}T00:00`);
  return [...items, ...ahead.map((start) => ({ ...AHEAD, from: start }))];
}
