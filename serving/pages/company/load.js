// The load of the country or a region over today, beside yesterday's and today's forecast. Days are UTC days.

import { lineChart } from "../charts/lines.js";
import { make, say, table, tableBehind } from "../lib/dom.js";
import { changeFrom } from "../lib/format.js";
import { NAMES, quantityText, scaleOf } from "../lib/units.js";

const STEP_MS = 300000;
const DAY_MS = 86400000;
const STEPS = DAY_MS / STEP_MS;

// Returns { show(answer, utility, yesterday), away(problem) } of a card that shows the load; `yesterday` is what the
// country used by the hour of the day before, null where that night is not known.
export function loadCard(host) {
  const line = make("p", { class: "readout" });
  const plot = make("div", { class: "chart" });
  const key = (className, text) => make("span", {}, make("span", { class: `key line ${className}` }), text);
  host.append(line, plot, make("p", { class: "legend" }, key("", "today"), key("past", "yesterday"), key("dashed", "forecast: yesterday's course at today's pace")));
  const behind = tableBehind("As a table");
  host.append(behind.element);
  const draw = lineChart(plot, line);

  function show(answer, utility, yesterday) {
    const points = pointsOf(answer, utility, yesterday);
    const unit = utility === "electricity" ? "W" : "L/h";
    const greatest = Math.max(0, ...points.flatMap((point) => [point.today ?? 0, point.yesterday ?? 0, point.forecast ?? 0]));
    const named = points.map((point) => ({ ...point, text: words(point, unit, utility) }));
    draw(named, scaleOf(greatest, unit, utility), `${NAMES[utility]}: load of today by 5 minutes, UTC`, resting(points, unit, utility));
    const caption = `${NAMES[utility]}: load by the hour, UTC`;
    behind.show(caption, listed(caption, points, unit, utility));
  }

  return { show, away: ({ title }) => say(line, `The day's load is not known at the moment: ${title}.`) };
}

// The same by the hour; an hour's forecast is that of its middle.
function listed(caption, points, unit, utility) {
  const text = (value) => quantityText(value, unit, utility);
  const hours = points.filter((_, index) => index % 12 === 0 && index < STEPS);
  const rows = hours.map((point, hour) => [point.clock, text(point.today), text(point.yesterday ?? points[hour * 12 + 6].yesterday), text(points[hour * 12 + 6].forecast)]);
  return table(caption, ["Hour (UTC)", "Today", "Yesterday", "Forecast"], rows);
}

// One point each 5 minutes of the UTC day of `as_of`, and a last one at its end. What an hour used is its mean rate, and
// stands in its middle; a night that is not known is made up for by what was heard since this time yesterday.
export function pointsOf(answer, utility, yesterday) {
  const midnight = Math.floor(Date.parse(answer.as_of) / DAY_MS) * DAY_MS;
  const rates = new Map(answer.items.map((item) => [Date.parse(item.from), item[utility] ?? null]));
  const hours = new Map((answer.forecast ?? []).map((item) => [Date.parse(item.from), item[utility] ?? null]));
  const before = new Map((yesterday ?? []).map((item) => [Date.parse(item.from), item.usage]));
  const middle = (known, at, index) => (index % 12 === 6 ? known.get(at - 6 * STEP_MS) ?? null : null);
  const points = Array.from({ length: STEPS + 1 }, (_, index) => {
    const at = midnight + index * STEP_MS;
    const clock = index === STEPS ? "24:00" : new Date(at).toISOString().slice(11, 16);
    return {
      clock,
      tick: index % (STEPS / 8) === 0 ? clock.slice(0, 2) : null,
      today: rates.get(at) ?? null,
      yesterday: before.size ? middle(before, at - DAY_MS, index) : rates.get(at - DAY_MS) ?? null,
      forecast: middle(hours, at, index),
    };
  });
  // What was expected of hours that are over helps nobody: the line goes on from where the load is now.
  const now = points.findLastIndex((point) => point.today !== null);
  points.forEach((point, index) => {
    if (index < now) point.forecast = null;
  });
  if (now >= 0 && points.some((point) => point.forecast !== null)) points[now].forecast = points[now].today;
  return points;
}

function words({ clock, today, yesterday, forecast }, unit, utility) {
  const text = (value) => quantityText(value, unit, utility);
  const said = [`${clock} UTC`, today === null ? null : `today ${text(today)}`, forecast === null ? null : `forecast ${text(forecast)}`, yesterday === null ? null : `yesterday ${text(yesterday)}`];
  return said.filter(Boolean).join(" · ");
}

function resting(points, unit, utility) {
  const at = points.findLastIndex((point) => point.today !== null);
  if (at < 0) return "Nothing has been heard today.";
  const newest = points[at];
  const before = newest.yesterday ?? points[Math.floor(at / 12) * 12 + 6]?.yesterday;
  const told = changeFrom(newest.today, before, "yesterday at that time");
  const peak = points.reduce((most, point) => ((point.forecast ?? 0) > (most?.forecast ?? 0) ? point : most), null);
  const parts = [`${quantityText(newest.today, unit, utility)} at ${newest.clock} UTC`];
  if (told) parts.push(told);
  if (peak?.forecast > newest.today) parts.push(`expected peak ${quantityText(peak.forecast, unit, utility)} at about ${peak.clock}`);
  return parts.join(" · ");
}
